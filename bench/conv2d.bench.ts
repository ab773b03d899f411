/** Convolution: output, input gradient, weight gradient, one kernel call a program. */
import type { Conv2dShape } from "#src/backend/backend.js";
import { type ConvAlgorithm, type ConvDirection, conv2dAlgorithm } from "#src/backend/wasm/conv-plan.js";
import type { Engine, Tensor } from "#src/index.js";
import {
  type AlgorithmOption,
  type BenchCase,
  type BenchSettings,
  checkValue,
  ExactSum,
  kernelRun,
  type Prepared,
  readShapes,
  runAlone,
  runCases,
  samplePlaces,
  uniform,
} from "./harness.js";

/** A square convolution of stride 1 in bench/shapes. */
export interface Conv2dRow {
  readonly layers: string;
  readonly batch: number;
  readonly inC: number;
  readonly size: number;
  readonly outC: number;
  readonly kernelSize: number;
  readonly padding: number;
}

function conv2dShape({ batch, inC, size, outC, kernelSize, padding }: Conv2dRow): Conv2dShape {
  const out = size + 2 * padding - kernelSize + 1;
  const [input, output] = [
    { inC, inH: size, inW: size },
    { outC, outH: out, outW: out },
  ];
  const kernel = { kH: kernelSize, kW: kernelSize, strideH: 1, strideW: 1, padH: padding, padW: padding };
  return { batch, ...input, ...output, ...kernel, dilationH: 1, dilationW: 1, groups: 1 };
}

/** The definition, term by term: calls `visit` with the places in x, weight and y of each product of one output place. */
function visitProducts(s: Conv2dShape, y: number, visit: (x: number, weight: number) => void): void {
  const ow = y % s.outW;
  const oh = Math.floor(y / s.outW) % s.outH;
  const o = Math.floor(y / (s.outW * s.outH)) % s.outC;
  const b = Math.floor(y / (s.outW * s.outH * s.outC));
  for (let c = 0; c < s.inC; c++)
    for (let kh = 0; kh < s.kH; kh++)
      for (let kw = 0; kw < s.kW; kw++) {
        const [ih, iw] = [oh * s.strideH + kh - s.padH, ow * s.strideW + kw - s.padW];
        if (ih < 0 || ih >= s.inH || iw < 0 || iw >= s.inW) continue;
        visit(((b * s.inC + c) * s.inH + ih) * s.inW + iw, ((o * s.inC + c) * s.kH + kh) * s.kW + kw);
      }
}

async function prepareForward(engine: Engine, s: Conv2dShape): Promise<Prepared> {
  const x = await uniform(engine, [s.batch, s.inC, s.inH, s.inW], "x");
  const weight = await uniform(engine, [s.outC, s.inC, s.kH, s.kW], "weight");
  const bias = await uniform(engine, [s.outC], "bias");
  const record = (): Tensor => {
    const y = engine.emptyTensor([s.batch, s.outC, s.outH, s.outW]);
    engine.record("conv2dForward", { ...s, relu: false }, { x, weight, bias, y });
    return y;
  };
  return kernelRun(engine, record, async (result) => {
    const [y, xs, ws, bs] = [await result.data(), await x.data(), await weight.data(), await bias.data()];
    for (const place of samplePlaces(y.length)) {
      const sum = new ExactSum();
      sum.add(bs[Math.floor(place / (s.outH * s.outW)) % s.outC], 1);
      visitProducts(s, place, (xPlace, wPlace) => sum.add(xs[xPlace], ws[wPlace]));
      checkValue(`y[${place}]`, y[place], sum.value, sum.scale);
    }
  });
}

async function prepareBackwardInput(engine: Engine, s: Conv2dShape): Promise<Prepared> {
  const dy = await uniform(engine, [s.batch, s.outC, s.outH, s.outW], "dy");
  const weight = await uniform(engine, [s.outC, s.inC, s.kH, s.kW], "weight");
  const record = (): Tensor => {
    const dx = engine.emptyTensor([s.batch, s.inC, s.inH, s.inW]);
    engine.record("conv2dBackwardInput", s, { dy, weight, bias: null, mask: null, dx });
    return dx;
  };
  return kernelRun(engine, record, async (result) => {
    const [dx, dys, ws] = [await result.data(), await dy.data(), await weight.data()];
    for (const place of samplePlaces(dx.length)) {
      const sum = new ExactSum();
      const [iw, ih] = [place % s.inW, Math.floor(place / s.inW) % s.inH];
      const c = Math.floor(place / (s.inW * s.inH)) % s.inC;
      const b = Math.floor(place / (s.inW * s.inH * s.inC));
      for (let o = 0; o < s.outC; o++)
        for (let kh = 0; kh < s.kH; kh++)
          for (let kw = 0; kw < s.kW; kw++) {
            const [oh, ow] = [ih + s.padH - kh, iw + s.padW - kw]; // stride 1
            if (oh < 0 || oh >= s.outH || ow < 0 || ow >= s.outW) continue;
            const dyPlace = ((b * s.outC + o) * s.outH + oh) * s.outW + ow;
            sum.add(dys[dyPlace], ws[((o * s.inC + c) * s.kH + kh) * s.kW + kw]);
          }
      checkValue(`dx[${place}]`, dx[place], sum.value, sum.scale);
    }
  });
}

async function prepareBackwardWeight(engine: Engine, s: Conv2dShape): Promise<Prepared> {
  const x = await uniform(engine, [s.batch, s.inC, s.inH, s.inW], "x");
  const dy = await uniform(engine, [s.batch, s.outC, s.outH, s.outW], "dy");
  const record = (): Tensor => {
    const dWeight = engine.emptyTensor([s.outC, s.inC, s.kH, s.kW]);
    engine.record("conv2dBackwardWeight", { ...s, accumulate: false }, { x, dy, dWeight });
    return dWeight;
  };
  return kernelRun(engine, record, async (result) => {
    const [dWeight, xs, dys] = [await result.data(), await x.data(), await dy.data()];
    for (const place of samplePlaces(dWeight.length)) {
      const sum = new ExactSum();
      const [kw, kh] = [place % s.kW, Math.floor(place / s.kW) % s.kH];
      const c = Math.floor(place / (s.kW * s.kH)) % s.inC;
      const o = Math.floor(place / (s.kW * s.kH * s.inC));
      for (let b = 0; b < s.batch; b++)
        for (let oh = 0; oh < s.outH; oh++)
          for (let ow = 0; ow < s.outW; ow++) {
            const [ih, iw] = [oh + kh - s.padH, ow + kw - s.padW]; // stride 1
            if (ih < 0 || ih >= s.inH || iw < 0 || iw >= s.inW) continue;
            const dyPlace = ((b * s.outC + o) * s.outH + oh) * s.outW + ow;
            sum.add(dys[dyPlace], xs[((b * s.inC + c) * s.inH + ih) * s.inW + iw]);
          }
      checkValue(`dWeight[${place}]`, dWeight[place], sum.value, sum.scale);
    }
  });
}

const DIRECTION_OF: Readonly<Record<string, ConvDirection>> = {
  conv2dForward: "forward",
  conv2dBackwardInput: "backwardInput",
  conv2dBackwardWeight: "backwardWeight",
};

const DIRECTIONS = {
  conv2dForward: prepareForward,
  conv2dBackwardInput: prepareBackwardInput,
  conv2dBackwardWeight: prepareBackwardWeight,
};

/** What an engine with this option takes for one direction; null where it would not do as it is told. */
function algorithmOf(bench: string, s: Conv2dShape, option: AlgorithmOption): ConvAlgorithm | null {
  const algorithm = conv2dAlgorithm(s, option, DIRECTION_OF[bench]);
  return option === "auto" || option === algorithm ? algorithm : null;
}

/** The three directions of one convolution. */
export function conv2dCases(row: Conv2dRow): BenchCase[] {
  const s = conv2dShape(row);
  const weights = s.outC * s.inC * s.kH * s.kW;
  const [inputs, outputs] = [s.batch * s.inC * s.inH * s.inW, s.batch * s.outC * s.outH * s.outW];
  return Object.entries(DIRECTIONS).map(([bench, prepare]) => ({
    bench,
    shape: `x=[${s.batch},${s.inC},${s.inH},${s.inW}] w=[${s.outC},${s.inC},${s.kH},${s.kW}] pad=${s.padH}`,
    layers: row.layers,
    flops: 2 * weights * s.batch * s.outH * s.outW,
    bytes: 4 * (weights + inputs + outputs),
    algorithm: (option) => algorithmOf(bench, s, option),
    prepare: (engine) => prepare(engine, s),
  }));
}

export async function bench(settings: BenchSettings): Promise<void> {
  await runCases(readShapes<Conv2dRow>("conv2d").flatMap(conv2dCases), settings);
}

await runAlone(import.meta.url, bench);
