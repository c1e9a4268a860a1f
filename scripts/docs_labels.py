# SPDX-License-Identifier: MIT
"""A hook of MkDocs (mkdocs.yml). In the repository a link says which file it leads to: [mac.md](mac.md). On the site a reader knows
pages by their names in the menu, so such a link shows that name; of a page outside the menu, its title."""
import posixpath
import re

LINK = re.compile(r"\[(?P<text>[\w./-]+\.md)\]\((?P<target>[^)#\s]+)(?P<fragment>#[^)\s]*)?\)")
labels = {}


def on_nav(nav, config, files):
    labels.clear()
    labels.update({page.file.src_uri: page.title for page in nav.pages if page.title})


def label_of(uri, files):
    file = files.get_file_from_path(uri)
    if uri not in labels and file is not None:
        labels[uri] = file.content_string.partition("\n")[0].removeprefix("# ")
    return labels.get(uri)


def on_page_markdown(markdown, page, config, files):
    def shown(link):
        uri = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), link["target"]))
        label = label_of(uri, files)
        # A text that names another file than the target's is the author's own.
        if label is None or posixpath.basename(link["text"]) != posixpath.basename(uri):
            return link[0]
        return f"[{label}]({link['target']}{link['fragment'] or ''})"

    return LINK.sub(shown, markdown)
