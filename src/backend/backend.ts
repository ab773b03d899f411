/**
 * What a backend is: the kernels it must have, the shape records they get, and how it runs a planned program.
 * Imported by core, ops and every backend; imports nothing. A backend never re-derives a size and knows no op.
 *
 * Adding a kernel: name it in {@link KernelTable} and {@link KERNEL_WRITES}; no backend compiles until it has it.
 */

/**
 * Element types of tensors. `float32` is stored as float64 by a backend that computes in double precision. `float16` and `int8` are types
 * of weights alone.
 */
export type DataType = "float32" | "int32" | "uint8" | QuantizedType;

/** What weights may be kept as, in fewer bits than float32. */
export type QuantizedType = "float16" | "int8";

/**
 * All sizes of a 2-D convolution. x [batch, inC, inH, inW], weight [outC, inC / groups, kH, kW], y [batch, outC, outH, outW].
 * Outputs may look beyond the padding, and inputs may be read by none (both happen in mirrored transposed convolutions).
 */
export interface Conv2dShape {
  readonly batch: number;
  readonly inC: number;
  readonly inH: number;
  readonly inW: number;
  readonly outC: number;
  readonly outH: number;
  readonly outW: number;
  readonly kH: number;
  readonly kW: number;
  readonly strideH: number;
  readonly strideW: number;
  readonly padH: number;
  readonly padW: number;
  /** Distance of a window's neighbouring places. */
  readonly dilationH: number;
  readonly dilationW: number;
  /** Divides inC and outC: outputs of group g see inputs of group g alone. */
  readonly groups: number;
}

/** All sizes of a 2-D pooling. x [batch, channels, inH, inW], y [batch, channels, outH, outW]. */
export interface Pool2dShape {
  readonly batch: number;
  readonly channels: number;
  readonly inH: number;
  readonly inW: number;
  readonly outH: number;
  readonly outW: number;
  readonly kH: number;
  readonly kW: number;
  readonly strideH: number;
  readonly strideW: number;
  readonly padH: number;
  readonly padW: number;
}

/** A pooling that averages. */
export interface AvgPool2dShape extends Pool2dShape {
  /** Does padding count in the number that a window's sum is divided by? */
  readonly countIncludePad: boolean;
}

/** x [batch, channels, inH, inW], y [batch, channels, outH, outW]; the windows' borders follow from these sizes. */
export interface AdaptivePool2dShape {
  readonly batch: number;
  readonly channels: number;
  readonly inH: number;
  readonly inW: number;
  readonly outH: number;
  readonly outW: number;
}

/**
 * Bilinear resampling of planes, x [planes, inH, inW] to y [planes, outH, outW]. Output place o looks at
 * max(0, (o + shift)·step − shift) of the input, cut at the last row or column.
 */
export interface UpsampleShape {
  readonly planes: number;
  readonly inH: number;
  readonly inW: number;
  readonly outH: number;
  readonly outW: number;
  /** Input places that an output place is worth. */
  readonly stepH: number;
  readonly stepW: number;
  readonly shift: number;
}

/** x [batch, inFeatures], weight [outFeatures, inFeatures], y [batch, outFeatures]. */
export interface LinearShape {
  readonly batch: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** A linear layer whose weight is kept in fewer bits: row o is what is stored times scale[o]. */
export interface QuantizedLinearShape extends LinearShape {
  readonly weightType: QuantizedType;
}

/** Tensors of [batch, channels, plane]; `size` channels in a window. */
export interface LrnShape {
  readonly batch: number;
  readonly channels: number;
  readonly plane: number;
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;
}

/** x [batch, channels, plane]; statistics are over batch and plane, [channels]. */
export interface BatchNormShape {
  readonly batch: number;
  readonly channels: number;
  readonly plane: number;
}

export interface BatchNormStatisticsShape extends BatchNormShape {
  /** Share of the new statistics in the running ones. */
  readonly momentum: number;
  /** Added to the variance before its root. */
  readonly eps: number;
}

/** x [rows, classes]. */
export interface ClassesShape {
  readonly rows: number;
  readonly classes: number;
}

export interface LengthShape {
  readonly length: number;
}

export interface ScaleShape extends LengthShape {
  readonly factor: number;
}

/** `length` elements from `xBegin` of x to `yBegin` of y. */
export interface CopyShape extends LengthShape {
  readonly xBegin: number;
  readonly yBegin: number;
}

/**
 * A block of three dimensions that lies in x and in y in two ways, as parts of them or all:
 * y[y.begin + i · y.stride0 + j · y.stride1 + k · y.stride2] = x[x.begin + i · x.stride0 + j · x.stride1 + k · x.stride2]
 */
export interface StridedCopyShape {
  readonly size0: number;
  readonly size1: number;
  readonly size2: number;
  readonly x: Strides;
  readonly y: Strides;
}

export interface Strides {
  readonly begin: number;
  readonly stride0: number;
  readonly stride1: number;
  readonly stride2: number;
}

/** Where random numbers come from: Threefry-2x32 with this key; element e takes word e & 1 of block (e >> 1, counter). */
export interface RandomStream {
  readonly key0: number;
  readonly key1: number;
  readonly counter: number;
}

export interface DropoutShape extends LengthShape, RandomStream {
  /** Probability that an element becomes 0. */
  readonly p: number;
}

export interface RandomFillShape extends LengthShape, RandomStream {
  /** Normal: the standard deviation. Uniform: half the width of the interval around 0. */
  readonly scale: number;
}

export interface SgdShape extends LengthShape {
  readonly lr: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** `caffe` keeps the learning rate inside the velocity, `pytorch` outside. They differ after a change of the rate. */
  readonly form: "pytorch" | "caffe";
}

/** A linear layer's weight gradient and the SGD update of the weight by it. */
export interface LinearUpdateShape extends LinearShape, Omit<SgdShape, "length"> {}

export interface AdamShape extends LengthShape {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** AdamW: the decay acts on the parameter, not through the gradient. */
  readonly decoupled: boolean;
  /** 1 − beta1^t and 1 − beta2^t at step t: how much of the averages is there yet. */
  readonly correction1: number;
  readonly correction2: number;
}

/** The probe of what the machine multiplies at best. */
export interface PeakProbeShape {
  readonly grains: number;
  /** Products of two matrices, a grain. */
  readonly products: number;
}

/** A product of {@link PeakProbeShape}: [rows, terms] times [terms, columns]. */
export const PEAK_PROBE_TILE = { rows: 8, columns: 16, terms: 256 } as const;

/** Parameter gradients: add to what the output holds instead of overwriting it. */
export interface Accumulate {
  readonly accumulate: boolean;
}

/** Forward passes of layers: may do the work of a reluForward that follows them. */
export interface Rectify {
  /** y is max(y, 0), with the bits of reluForward. */
  readonly relu: boolean;
}

/** One kernel's contract: its shape record, the tensors it reads and those it writes, by role. */
interface Kernel<Shape, Reads extends string, Writes extends string> {
  shape: Shape;
  reads: Reads;
  writes: Writes;
}

/** Every kernel a backend must have, forward and backward. What each computes: the backends' own files. */
export interface KernelTable {
  conv2dForward: Kernel<Conv2dShape & Rectify, "x" | "weight" | "bias", "y">;
  /**
   * conv2dForward with relu, and the maxima of its windows of 2x2: the work of a maxPool2dForward that follows. outH and outW are the
   * convolution's, and even; y is [batch, outC, outH / 2, outW / 2].
   */
  conv2dMaxPool2dForward: Kernel<Conv2dShape, "x" | "weight" | "bias", "y">;
  /**
   * A bias [inC] is added to dx: a transposed convolution's forward pass. Where mask, which is like dx, is not above 0, dx is 0:
   * the work of a reluBackward that follows, whose y is the mask.
   */
  conv2dBackwardInput: Kernel<Conv2dShape, "dy" | "weight" | "bias" | "mask", "dx">;
  conv2dBackwardWeight: Kernel<Conv2dShape & Accumulate, "x" | "dy", "dWeight">;
  /** Looks at batch, outC, outH and outW alone. */
  conv2dBackwardBias: Kernel<Conv2dShape & Accumulate, "dy", "dBias">;
  linearForward: Kernel<LinearShape & Rectify, "x" | "weight" | "bias", "y">;
  /** The mask: as in conv2dBackwardInput. */
  linearBackwardInput: Kernel<LinearShape, "dy" | "weight" | "mask", "dx">;
  linearBackwardWeight: Kernel<LinearShape & Accumulate, "x" | "dy", "dWeight">;
  /** The work of a linearBackwardWeight and of the sgd that takes its result, which is never stored. */
  linearUpdateWeight: Kernel<LinearUpdateShape, "x" | "dy" | "param" | "velocity", "param" | "velocity">;
  linearBackwardBias: Kernel<LinearShape & Accumulate, "dy", "dBias">;
  /**
   * y = x · (weight · scale)ᵀ + bias. With int8 each image of x is first rounded to multiples of its largest magnitude / 32767, to the
   * nearest, ties to even; an image that is not finite throughout has outputs of NaN.
   */
  linearQuantizedForward: Kernel<QuantizedLinearShape & Rectify, "x" | "weight" | "scale" | "bias", "y">;
  maxPool2dForward: Kernel<Pool2dShape, "x", "y" | "winners">;
  maxPool2dBackward: Kernel<Pool2dShape, "dy" | "winners", "dx">;
  avgPool2dForward: Kernel<AvgPool2dShape, "x", "y">;
  avgPool2dBackward: Kernel<AvgPool2dShape, "dy", "dx">;
  adaptiveAvgPool2dForward: Kernel<AdaptivePool2dShape, "x", "y">;
  adaptiveAvgPool2dBackward: Kernel<AdaptivePool2dShape, "dy", "dx">;
  adaptiveMaxPool2dForward: Kernel<AdaptivePool2dShape, "x", "y" | "winners">;
  adaptiveMaxPool2dBackward: Kernel<AdaptivePool2dShape, "dy" | "winners", "dx">;
  upsampleForward: Kernel<UpsampleShape, "x", "y">;
  upsampleBackward: Kernel<UpsampleShape, "dy", "dx">;
  reluForward: Kernel<LengthShape, "x", "y">;
  reluBackward: Kernel<LengthShape, "dy" | "y", "dx">;
  leakyReluForward: Kernel<ScaleShape, "x", "y">;
  leakyReluBackward: Kernel<ScaleShape, "dy" | "x", "dx">;
  tanhForward: Kernel<LengthShape, "x", "y">;
  tanhBackward: Kernel<LengthShape, "dy" | "y", "dx">;
  sigmoidForward: Kernel<LengthShape, "x", "y">;
  sigmoidBackward: Kernel<LengthShape, "dy" | "y", "dx">;
  dropout: Kernel<DropoutShape, "x", "y">;
  lrnForward: Kernel<LrnShape, "x", "y" | "scale">;
  lrnBackward: Kernel<LrnShape, "dy" | "x" | "scale", "dx">;
  batchNormStatistics: Kernel<
    BatchNormStatisticsShape,
    "x" | "runningMean" | "runningVar",
    "mean" | "invStd" | "runningMean" | "runningVar"
  >;
  batchNormRunning: Kernel<BatchNormStatisticsShape, "runningMean" | "runningVar", "mean" | "invStd">;
  batchNormForward: Kernel<BatchNormShape, "x" | "mean" | "invStd" | "weight" | "bias", "y">;
  batchNormBackwardWeight: Kernel<BatchNormShape, "dy" | "x" | "mean" | "invStd", "dWeight" | "dBias">;
  /** Without the sums (dBias and dWeight of this pass) mean and invStd are constants: evaluation mode. */
  batchNormBackwardInput: Kernel<
    BatchNormShape,
    "dy" | "x" | "mean" | "invStd" | "weight" | "sumDy" | "sumDyNormalised",
    "dx"
  >;
  logSoftmaxForward: Kernel<ClassesShape, "x", "y">;
  logSoftmaxBackward: Kernel<ClassesShape, "dy" | "y", "dx">;
  nllForward: Kernel<ClassesShape, "y" | "labels", "loss">;
  crossEntropyBackward: Kernel<ClassesShape, "dLoss" | "y" | "labels", "dx">;
  squaredErrorForward: Kernel<ScaleShape, "a" | "b", "loss">;
  squaredErrorBackward: Kernel<ScaleShape, "dLoss" | "a" | "b", "dx">;
  labelRank: Kernel<ClassesShape, "x" | "labels", "ranks">;
  add: Kernel<LengthShape, "a" | "b", "y">;
  mul: Kernel<LengthShape, "a" | "b", "y">;
  scale: Kernel<ScaleShape, "x", "y">;
  sum: Kernel<LengthShape, "x", "y">;
  expand: Kernel<ScaleShape, "x", "y">;
  copy: Kernel<CopyShape, "x", "y">;
  /** Leaves the rest of y as it is. */
  stridedCopy: Kernel<StridedCopyShape, "x", "y">;
  fill: Kernel<ScaleShape, never, "y">;
  fillUniform: Kernel<RandomFillShape, never, "y">;
  fillNormal: Kernel<RandomFillShape, never, "y">;
  sgd: Kernel<SgdShape, "grad" | "param" | "velocity", "param" | "velocity">;
  adam: Kernel<AdamShape, "grad" | "param" | "expAvg" | "expAvgSq", "param" | "expAvg" | "expAvgSq">;
  /** y [grains] = products: as many products of matrices of which each adds 1. For its time, not for its result. */
  peakProbe: Kernel<PeakProbeShape, never, "y">;
}

/** The name of a kernel of the contract, such as `conv2dForward`. */
export type KernelName = keyof KernelTable;
export type ShapeOf<K extends KernelName> = KernelTable[K]["shape"];
export type RoleOf<K extends KernelName> = KernelTable[K]["reads"] | KernelTable[K]["writes"];

/** Roles that may be left out: null there means "has none". */
type OptionalRole = "bias" | "mask" | "winners" | "velocity" | "sumDy" | "sumDyNormalised";

/** The tensors of one call by role. T is what stands for a tensor: a storage, an address, an array, a GPU binding. */
export type TensorsOf<K extends KernelName, T> = {
  readonly [R in RoleOf<K>]: R extends OptionalRole ? T | null : T;
};

/** The roles that each kernel writes; all others it only reads. (Accumulating kernels also read what they write.) */
export const KERNEL_WRITES: { readonly [K in KernelName]: readonly KernelTable[K]["writes"][] } = {
  conv2dForward: ["y"],
  conv2dMaxPool2dForward: ["y"],
  conv2dBackwardInput: ["dx"],
  conv2dBackwardWeight: ["dWeight"],
  conv2dBackwardBias: ["dBias"],
  linearForward: ["y"],
  linearBackwardInput: ["dx"],
  linearBackwardWeight: ["dWeight"],
  linearUpdateWeight: ["param", "velocity"],
  linearBackwardBias: ["dBias"],
  linearQuantizedForward: ["y"],
  maxPool2dForward: ["y", "winners"],
  maxPool2dBackward: ["dx"],
  avgPool2dForward: ["y"],
  avgPool2dBackward: ["dx"],
  adaptiveAvgPool2dForward: ["y"],
  adaptiveAvgPool2dBackward: ["dx"],
  adaptiveMaxPool2dForward: ["y", "winners"],
  adaptiveMaxPool2dBackward: ["dx"],
  upsampleForward: ["y"],
  upsampleBackward: ["dx"],
  reluForward: ["y"],
  reluBackward: ["dx"],
  leakyReluForward: ["y"],
  leakyReluBackward: ["dx"],
  tanhForward: ["y"],
  tanhBackward: ["dx"],
  sigmoidForward: ["y"],
  sigmoidBackward: ["dx"],
  dropout: ["y"],
  lrnForward: ["y", "scale"],
  lrnBackward: ["dx"],
  batchNormStatistics: ["mean", "invStd", "runningMean", "runningVar"],
  batchNormRunning: ["mean", "invStd"],
  batchNormForward: ["y"],
  batchNormBackwardWeight: ["dWeight", "dBias"],
  batchNormBackwardInput: ["dx"],
  logSoftmaxForward: ["y"],
  logSoftmaxBackward: ["dx"],
  nllForward: ["loss"],
  crossEntropyBackward: ["dx"],
  squaredErrorForward: ["loss"],
  squaredErrorBackward: ["dx"],
  labelRank: ["ranks"],
  add: ["y"],
  mul: ["y"],
  scale: ["y"],
  sum: ["y"],
  expand: ["y"],
  copy: ["y"],
  stridedCopy: ["y"],
  fill: ["y"],
  fillUniform: ["y"],
  fillNormal: ["y"],
  sgd: ["param", "velocity"],
  adam: ["param", "expAvg", "expAvgSq"],
  peakProbe: ["y"],
};

/** An output that may lie in the very memory of an input. */
export interface InPlace {
  readonly output: string;
  /** Each of these, which are as large as the output. */
  readonly over: readonly string[];
}

/**
 * Kernels whose output may be written over an input that nobody needs afterwards: every element is computed from those of the same
 * place, by one thread, which reads them first. All backends must bear it.
 */
export const KERNEL_IN_PLACE = {
  reluForward: { output: "y", over: ["x"] },
  reluBackward: { output: "dx", over: ["dy", "y"] },
  leakyReluForward: { output: "y", over: ["x"] },
  leakyReluBackward: { output: "dx", over: ["dy", "x"] },
  tanhForward: { output: "y", over: ["x"] },
  tanhBackward: { output: "dx", over: ["dy", "y"] },
  sigmoidForward: { output: "y", over: ["x"] },
  sigmoidBackward: { output: "dx", over: ["dy", "y"] },
  dropout: { output: "y", over: ["x"] },
  batchNormForward: { output: "y", over: ["x"] },
  batchNormBackwardInput: { output: "dx", over: ["dy", "x"] },
  add: { output: "y", over: ["a", "b"] },
  mul: { output: "y", over: ["a", "b"] },
  scale: { output: "y", over: ["x"] },
} satisfies { readonly [K in KernelName]?: InPlace };

/** One kernel call on tensors that T stands for. */
export type KernelCall<T, K extends KernelName = KernelName> = {
  [N in K]: { readonly kernel: N; readonly shape: ShapeOf<N>; readonly tensors: TensorsOf<N, T> };
}[K];

/** Memory that outlives programs: what a backend hands out for a parameter or a kept tensor. Opaque to all others. */
export interface Buffer {
  readonly sizeBytes: number;
}

/** Memory of a plan: a buffer, or one of the plan's slots (memory that is reused inside the program). */
export type Room = { readonly buffer: Buffer } | { readonly slot: number };

/** Where a tensor of a plan lies. */
export type Place = Room & {
  readonly length: number;
  readonly dtype: DataType;
};

/** What there is to know of a tensor before it has a place. */
export interface TensorFacts {
  readonly length: number;
  readonly dtype: DataType;
}

/** Host values that go into a tensor before the plan's first call. */
export interface Upload {
  readonly place: Place;
  readonly data: HostArray;
}

/** Bytes of an element in memory; a backend may store float32 in more. */
export const ELEMENT_BYTES: { readonly [T in DataType]: number } = {
  float32: 4,
  int32: 4,
  uint8: 1,
  float16: 2,
  int8: 1,
};

/** Host arrays that may be uploaded; converted to the tensor's element type. */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** How slots may lie in a plan's memory. */
export interface SlotRules {
  /** Slots begin on multiples of it. */
  readonly unitBytes: number;
  /** No slot crosses a multiple of it, and one that is larger begins on a multiple. Infinity where the memory is in one piece. */
  readonly pieceBytes: number;
}

/** Memory in one piece; slots begin on cache lines. */
export const ONE_PIECE: SlotRules = { unitBytes: 64, pieceBytes: Number.POSITIVE_INFINITY };

/** A range of a plan's memory. Slots of values that live at different times may overlap. */
export interface Slot {
  /** From the start of the memory, by the backend's {@link SlotRules}. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** A program with its memory decided: ready to run. */
export interface Plan {
  readonly slots: readonly Slot[];
  /** Of the memory that all slots lie in. */
  readonly sizeBytes: number;
  readonly uploads: readonly Upload[];
  readonly calls: readonly PlannedCall[];
  /** Will somebody ask for {@link LoadedPlan.timings}? */
  readonly timed: boolean;
}

export interface PlannedCall {
  readonly call: KernelCall<Place>;
  /** Slot of the kernel's shared scratch memory, or null where {@link Backend.scratchBytes} is 0. */
  readonly scratch: number | null;
  /** Where the call's {@link Backend.derivedOf} is, or null where it has none. */
  readonly derived: PlannedDerived | null;
  /** For error messages: `conv2d` of `features.3`. */
  readonly label: string;
}

/** What a call makes of its weight alone before it does anything else: a transformed copy. */
export interface Derived {
  /** Calls on the same weight with the same key make the same bytes. */
  readonly key: string;
  /** Of all of it, where it is kept. */
  readonly sizeBytes: number;
  /** Where it is not: the call makes a part at a time. */
  readonly partBytes: number;
}

export interface PlannedDerived {
  readonly room: Room;
  /** It stays for later calls; else the room is that of a part. */
  readonly kept: boolean;
  /** It is there already, from an earlier call: not to be made. */
  readonly fresh: boolean;
}

/** Fills the bytes that it is given. */
export type ByteSource = (bytes: Uint8Array) => Promise<void>;

/** A plan that is loaded: its slots have memory and its uploads are done. Runs in pieces, for the step-through. */
export interface LoadedPlan {
  /** Runs calls [begin, end) to completion. */
  run(begin: number, end: number): Promise<void>;
  /** When each call of a timed plan ran, in their order. Once all have run, and before the next plan is loaded. */
  timings(): readonly CallTiming[];
}

/** A span of time, in milliseconds since the plan's first call began. */
export interface Span {
  readonly beginMs: number;
  readonly endMs: number;
}

/** When a call ran, and how. */
export interface CallTiming extends Span {
  /** What the backend chose among several ways to compute the same: `im2col`, `winograd4`; empty where there is one way. */
  readonly algorithm: string;
  /** The parts that the backend ran one after the other. */
  readonly launches: readonly (Span & { readonly kernel: string })[];
}

/** Bytes of tensor memory: held by buffers, largest so far with slots and scratch, and the most there can be. */
export interface MemoryUse {
  readonly usedBytes: number;
  readonly peakBytes: number;
  readonly maxBytes: number;
}

/** Builds of the wasm kernels: backend/wasm/tiers.ts. */
export type Tier = "plain" | "relaxed" | "turbo";

/** The interface that wasm, webgpu and reference implement. All members are required. */
export interface Backend {
  readonly name: string;
  readonly threads: number;
  /** Which build of its kernels runs; null where there is one only. */
  readonly tier: Tier | null;
  readonly slotRules: SlotRules;
  /** Bytes of `length` elements. */
  sizeBytes(length: number, dtype: DataType): number;
  /** Called with a program's calls before their memory is planned: a backend may measure which way to compute them is fastest. */
  prepare(calls: readonly KernelCall<TensorFacts>[]): Promise<void>;
  /** Shared scratch memory that a call of this kernel needs. */
  scratchBytes(call: KernelCall<unknown>): number;
  /** What a call of this kernel makes of its weight alone and works on; null where nothing is worth keeping. */
  derivedOf(call: KernelCall<unknown>): Derived | null;
  /**
   * Overwrites a tensor in a buffer, between programs: `source` puts its values, little-endian and of the tensor's type, into the bytes that
   * it is given. They are the tensor's memory itself where the host reaches that.
   */
  writeFrom(place: Place, source: ByteSource): Promise<void>;
  /** Throws BackendError, naming `label`, when memory is full. */
  allocate(sizeBytes: number, label: string): Buffer;
  release(buffer: Buffer): void;
  /** Gives the slots memory and performs the uploads. One plan at a time: the previous one's slots end here. */
  load(plan: Plan): Promise<LoadedPlan>;
  /** Copies `length` elements out, from element `begin`; float16 as float32. Only between loads. */
  read(place: Place, begin: number, length: number): Promise<HostArray>;
  memory(): MemoryUse;
  close(): Promise<void>;
}
