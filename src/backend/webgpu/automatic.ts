/**
 * createEngine's `auto`: looks for a GPU, and opens it where it is worth having. Whatever goes wrong on the way means wasm, with the reason;
 * the backend's own code is loaded only once there is an adapter for it.
 */
import {
  breakEvenMacs,
  type Choice,
  chooseByAdapter,
  chooseBySpeed,
  chooseByWork,
  type GpuSpeed,
  type Work,
} from "./choice.js";
import { type AdapterFacts, findAdapter, openDevice } from "./device.js";
import type { GpuHost } from "./host.js";
import type { WebGpuBackend, WebGpuOptions } from "./webgpu-backend.js";

/** What was chosen, and the backend where that is webgpu. */
export type Chosen = Choice & { readonly opened: WebGpuBackend | null };

/** What there is to know of a host's GPU. */
export interface GpuFacts {
  /** Is there an adapter? */
  readonly available: boolean;
  readonly adapter: AdapterFacts | null;
  /** As measured, on this adapter or by an earlier engine; null without one, or for software. */
  readonly speed: GpuSpeed | null;
  /** Work from which on `auto` takes it, in multiply-accumulates; null: never. */
  readonly fromMacs: number | null;
  /** What `auto` takes for large work, and why. */
  readonly backend: "wasm" | "webgpu";
  readonly reason: string;
}

/** The best backend for some work on a host. */
export async function chooseBackend(host: GpuHost, work: Work, options: WebGpuOptions): Promise<Chosen> {
  const early = chooseByWork(work);
  if (early !== null) return { ...early, opened: null };
  try {
    const found = await findAdapter(host);
    if ("reason" in found) return { backend: "wasm", reason: found.reason, opened: null };
    const known = chooseByAdapter(found.facts);
    if (known !== null) return { ...known, opened: null };
    const [{ WebGpuBackend }, device] = await Promise.all([
      import("./webgpu-backend.js"),
      openDevice(found.adapter, found.facts, options.limits ?? "adapter"),
    ]);
    const precision = options.precision === "f16" && found.facts.f16 ? "f16" : "float32";
    const backend = await WebGpuBackend.open(device, host, { ...options, precision });
    const choice = await chooseOn(host, backend, work);
    if (choice.backend === "webgpu") return { ...choice, opened: backend };
    await backend.close();
    return { ...choice, opened: null };
  } catch (error) {
    return { backend: "wasm", reason: messageOf(error), opened: null };
  }
}

async function chooseOn(host: GpuHost, backend: WebGpuBackend, work: Work): Promise<Choice> {
  const { name } = backend.adapter;
  if (work.macs === Number.POSITIVE_INFINITY) return { backend: "webgpu", reason: name };
  const { backend: chosen, reason } = chooseBySpeed(work, await speedOf(host, backend));
  return { backend: chosen, reason: `${name}: ${reason}` };
}

/** As measured by an earlier engine, or now. */
export async function speedOf(host: GpuHost, backend: WebGpuBackend): Promise<GpuSpeed> {
  const key = speedKey(backend.adapter);
  const known = parseSpeed(await host.recall(key));
  if (known !== null) return known;
  const { measureSpeed } = await import("./speed.js");
  const speed = await measureSpeed(backend);
  // What a processor measures says nothing about any GPU.
  if (!backend.adapter.software) await host.remember(key, JSON.stringify(speed));
  return speed;
}

function speedKey({ name }: AdapterFacts): string {
  return `webgpu speed ${name}`;
}

/** Null for anything but what was remembered. */
function parseSpeed(text: string | null): GpuSpeed | null {
  try {
    const found: unknown = JSON.parse(text ?? "null");
    if (typeof found !== "object" || found === null) return null;
    if (!("roundTripMs" in found && "gflops" in found)) return null;
    const { roundTripMs, gflops } = found;
    const isRate = (value: unknown): value is number =>
      typeof value === "number" && value > 0 && Number.isFinite(value);
    return isRate(roundTripMs) && isRate(gflops) ? { roundTripMs, gflops } : null;
  } catch {
    return null;
  }
}

/** What `auto` would do with large work, and from which work on. */
export async function describeGpu(host: GpuHost, threads: number): Promise<GpuFacts> {
  const found = await findAdapter(host).catch((error: unknown) => ({ reason: messageOf(error) }));
  const none = { speed: null, fromMacs: null, backend: "wasm" } as const;
  if ("reason" in found) return { available: false, adapter: null, ...none, reason: found.reason };
  const about = { available: true, adapter: found.facts };
  const known = chooseByAdapter(found.facts);
  if (known !== null) return { ...about, ...none, reason: known.reason };
  const { opened, reason } = await chooseBackend(host, { macs: Number.POSITIVE_INFINITY, threads }, {});
  if (opened === null) return { ...about, ...none, reason };
  try {
    const speed = await speedOf(host, opened);
    const fromMacs = breakEvenMacs(threads, speed);
    const never = fromMacs === Number.POSITIVE_INFINITY;
    return { ...about, speed, fromMacs: never ? null : fromMacs, backend: "webgpu", reason };
  } catch (error) {
    return { ...about, ...none, reason: messageOf(error) };
  } finally {
    await opened.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
