/** What the WebGPU backend needs of where it runs; the hosts themselves are node-host.ts and engine-browser.ts. */

export interface GpuHost {
  /**
   * The host's entry to WebGPU, a `GPU`, or why there is none. (No type of WebGPU's own: whoever uses this package in Node need not have
   * them.)
   */
  findGpu(): Promise<{ readonly gpu: object } | { readonly reason: string }>;
  /** What was remembered under a name by an earlier engine, perhaps in another process; null where nothing was. */
  recall(name: string): Promise<string | null>;
  /** Remembers; whoever cannot does nothing. */
  remember(name: string, text: string): Promise<void>;
}
