/**
 * Adapters and devices: finds a GPU, says what it is and what it can do, and opens it with as much as it offers. Software adapters are
 * told apart, since nobody wants them for their speed.
 */
import { BackendError } from "../../core/errors.js";
import type { DeviceFacts } from "./dispatch.js";
import type { GpuHost } from "./host.js";

/** What there is to know of an adapter before it is used. */
export interface AdapterFacts {
  /** `nvidia hopper`, or what the driver says. */
  readonly name: string;
  /** It computes on the processor: SwiftShader, llvmpipe, WARP. */
  readonly software: boolean;
  /** Largest range of a buffer that a kernel can see. */
  readonly maxBindingBytes: number;
  readonly f16: boolean;
  readonly subgroups: boolean;
  /** Can a program be timed call by call on the device? */
  readonly timestamps: boolean;
}

/** An adapter, or why there is none. */
export type FoundAdapter = { readonly adapter: GPUAdapter; readonly facts: AdapterFacts } | { readonly reason: string };

/** A device, and what kernels may ask of it. */
export interface OpenDevice {
  readonly device: GPUDevice;
  readonly adapter: AdapterFacts;
  readonly facts: DeviceFacts;
}

/** Limits that are worth having more of. */
const RAISED = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
] as const;
const FEATURES = ["shader-f16", "subgroups", "timestamp-query"] as const;

/** Pieces of tensors of any type begin on whole windows (WINDOW_UNIT), those of floats on whole chunks of sums (SUM_CHUNK). */
const PIECE_UNIT_BYTES = 16384;

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b|software/i;

/** The host's fastest adapter. */
export async function findAdapter(host: GpuHost): Promise<FoundAdapter> {
  const found = await host.findGpu();
  if ("reason" in found) return found;
  const gpu = found.gpu as GPU;
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  if (adapter === null) return { reason: "WebGPU finds no adapter: no GPU, or no driver for it" };
  return { adapter, facts: adapterFacts(adapter) };
}

function adapterFacts({ info, features, limits }: GPUAdapter): AdapterFacts {
  const { vendor, architecture, device, description } = info;
  const words = [vendor, architecture, device, description].filter(Boolean);
  return {
    name: description || [vendor, architecture || device].filter(Boolean).join(" ") || "a GPU without a name",
    software: isFallback(info) || words.some((word) => SOFTWARE.test(word)),
    maxBindingBytes: limits.maxStorageBufferBindingSize,
    f16: features.has("shader-f16"),
    subgroups: features.has("subgroups"),
    timestamps: features.has("timestamp-query"),
  };
}

/** Not every runtime has the flag. */
function isFallback(info: GPUAdapterInfo): boolean {
  return "isFallbackAdapter" in info && info.isFallbackAdapter === true;
}

/**
 * Opens the adapter's device: with WebGPU's default limits, or with those that the adapter offers.
 * @throws BackendError where the adapter gives none.
 */
export async function openDevice(
  adapter: GPUAdapter,
  facts: AdapterFacts,
  limits: "default" | "adapter",
): Promise<OpenDevice> {
  const requiredFeatures = FEATURES.filter((feature) => adapter.features.has(feature));
  const requiredLimits = Object.fromEntries(
    limits === "adapter" ? RAISED.map((name) => [name, adapter.limits[name]]) : [],
  );
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits }).catch((error) => {
    throw new BackendError(
      `webgpu: the GPU gives no device (${facts.name}: ${error instanceof Error ? error.message : String(error)}). Use the wasm backend.`,
    );
  });
  return { device, adapter: facts, facts: deviceFacts(device) };
}

function deviceFacts({ limits, features }: GPUDevice): DeviceFacts {
  const most = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  return {
    pieceBytes: Math.floor(most / PIECE_UNIT_BYTES) * PIECE_UNIT_BYTES,
    maxWorkgroups: limits.maxComputeWorkgroupsPerDimension,
    maxThreads: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
    workgroupBytes: limits.maxComputeWorkgroupStorageSize,
    subgroups: features.has("subgroups"),
  };
}
