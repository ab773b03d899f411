/**
 * ZFNet (Zeiler and Fergus 2013) and SPP-net (He, Zhang, Ren and Sun 2014), whose ZF-5 body is nearly the same. Tables for
 * net-config.ts. Paddings and the rounding of pools are not in the papers: they follow from the sizes of the maps.
 */
import { classifierRows } from "./alexnet.js";
import { at, conv, flatten, lrn, pool, poolUp, type Row, relu } from "./net-config.js";

const conv3to5: readonly Row[] = [
  ...[conv(384, 3, { padding: 1 }), relu],
  ...[conv(384, 3, { padding: 1 }), relu],
  ...[conv(256, 3, { padding: 1 }), relu],
];

/** Maps 110, 55, 26, 13, 6. The paper normalises contrast across maps, without constants: here Krizhevsky's normalisation. */
export const zfnetRows: readonly Row[] = [
  ...[conv(96, 7, { stride: 2, padding: 1 }), relu, poolUp(3, 2), lrn],
  ...[conv(256, 5, { stride: 2 }), relu, poolUp(3, 2), lrn],
  ...conv3to5,
  poolUp(3, 2),
  ...classifierRows,
];

/** Bins of the pyramid along each side: 50 in all (unconfirmed). */
const PYRAMID = [6, 3, 2, 1] as const;

/** ZF-5, maps 55, 27, 13, then the pyramid instead of pool5, so that fc6 takes pictures of any size: 50 bins of 256. */
export const sppnetRows: readonly Row[] = [
  ...[conv(96, 7, { stride: 2, padding: 1 }), relu, lrn, poolUp(3, 2)],
  ...[conv(256, 5, { stride: 2, padding: 1 }), relu, lrn, pool(3, 2)],
  ...conv3to5,
  ...PYRAMID.flatMap((outputSize): Row[] => [
    { kind: "adaptiveMaxPool", outputSize, name: `spp${outputSize}`, from: ["relu5"] },
    at(flatten, { name: `flatten${outputSize}` }),
  ]),
  { kind: "concat", name: "spp", from: PYRAMID.map((size) => `flatten${size}`) },
  ...classifierRows.slice(1),
];
