// SPDX-License-Identifier: MIT
/// \file
/// The order in which tiles of D are worked on. Host-device.
#pragma once

namespace lowbit::gpu {

/// M-tiles that share a sweep over N, so that a wave of CTAs re-reads its operands from the L2.
inline constexpr int raster_rows = 16;

/// Which tile of D a CTA computes.
struct TilePlace {
  int m = 0;  ///< tile row and tile column of D
  int n = 0;  ///< tile column of D
};

/// Tile `index` of tiles_m x tiles_n: bands of raster_rows tile rows, M fastest within a band.
[[nodiscard]] constexpr TilePlace place_tile(int index, int tiles_m, int tiles_n) {
  const int band = index / (raster_rows * tiles_n);
  const int within = index % (raster_rows * tiles_n);
  const int left = tiles_m - band * raster_rows;
  const int rows = left < raster_rows ? left : raster_rows;
  return {band * raster_rows + within % rows, within / rows};
}

}  // namespace lowbit::gpu
