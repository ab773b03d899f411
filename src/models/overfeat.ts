/** OverFeat (Sermanet et al. 2013, tables 1 and 3), the fast and the accurate net. Tables for net-config.ts. */
import { conv, dropout, flatten, linear, pool, type Row, relu } from "./net-config.js";

const hidden = (features: number): Row[] => [linear(features), relu, dropout(0.5)];

/** Input 231; maps 56, 28, 24, 12, 6. */
export const overfeatFastRows: readonly Row[] = [
  ...[conv(96, 11, { stride: 4 }), relu, pool(2, 2)],
  ...[conv(256, 5), relu, pool(2, 2)],
  ...[conv(512, 3, { padding: 1 }), relu],
  ...[conv(1024, 3, { padding: 1 }), relu],
  ...[conv(1024, 3, { padding: 1 }), relu, pool(2, 2)],
  flatten,
  ...hidden(3072),
  ...hidden(4096),
  linear("classes"),
];

/** Input 221; maps 108, 36, 30, 15, 5. */
export const overfeatAccurateRows: readonly Row[] = [
  ...[conv(96, 7, { stride: 2 }), relu, pool(3, 3)],
  ...[conv(256, 7), relu, pool(2, 2)],
  ...[conv(512, 3, { padding: 1 }), relu],
  ...[conv(512, 3, { padding: 1 }), relu],
  ...[conv(1024, 3, { padding: 1 }), relu],
  ...[conv(1024, 3, { padding: 1 }), relu, pool(3, 3)],
  flatten,
  ...hidden(4096),
  ...hidden(4096),
  linear("classes"),
];
