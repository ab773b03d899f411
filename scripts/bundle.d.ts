/** Types of bundle.js. */
import type { Metafile } from "esbuild";

export function bundle(folder: string): Promise<Metafile>;
