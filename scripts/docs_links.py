#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the pages of a site: every link leads to a file of it, every fragment to an element of that file, and no page or style
sheet loads anything from the network. usage: docs_links.py FOLDER"""
import html.parser
import pathlib
import re
import sys
import urllib.parse

LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data", "link": "href", "embed": "src"}


class Page(html.parser.HTMLParser):
    """The links of a page, and what can be linked to in it."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.names = [], [], {"", "top"}
        self.feed(path.read_text(errors="replace"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.names.update(attributes[key] for key in ("id", "name") if attributes.get(key))
        if attributes.get("href") and tag in ("a", "area"):
            self.links.append(attributes["href"])
        loaded = attributes.get(LOADS.get(tag, ""))
        if loaded and not (tag == "link" and attributes.get("rel") in ("canonical", "prev", "next")):
            self.loads.append(loaded)


def main(site):
    problems = []
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}

    def check(source, target, loaded):
        url = urllib.parse.urlsplit(target)
        if url.scheme in ("data", "javascript", "mailto"):
            return
        if url.scheme or url.netloc:
            if loaded:
                problems.append(f"{source.relative_to(site)}: loads {target} from the network")
            return
        file = (source.parent / urllib.parse.unquote(url.path)).resolve() if url.path else source
        if file.is_dir():
            file /= "index.html"
        if not file.is_relative_to(site) or not file.exists():
            problems.append(f"{source.relative_to(site)}: the link {target} leads nowhere")
        elif file in pages and url.fragment == "nested-classes" and file.name.startswith("class"):
            pass  # Doxygen links to this heading where all nested classes are private, and leaves the heading out
        elif file in pages and urllib.parse.unquote(url.fragment) not in pages[file].names:
            problems.append(f"{source.relative_to(site)}: {target} names no element of {file.name}")

    links = 0
    for path, page in pages.items():
        for target in page.links:
            check(path, target, False)
        for target in page.loads:
            check(path, target, True)
        links += len(page.links) + len(page.loads)
    for path in site.rglob("*.css"):
        for target in re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", path.read_text(errors="replace")):
            check(path, target[0] or target[1], True)
    for problem in problems:
        print(problem)
    print(f"{len(pages)} pages, {links} links, {len(problems)} problems")
    return 1 if problems or not pages or not links else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
