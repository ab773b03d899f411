/** Where this user's caches are: pulled weights, and notes of what was measured. */
import path from "node:path";

/** What says where the cache is: this process, or what a test puts in its place. */
export interface CacheHost {
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

/** VERYDEEP_CACHE, or `verydeep` in the system's folder for caches; null where nothing says where that is. */
export function cacheFolder({ platform, env, home }: CacheHost): string | null {
  if (env.VERYDEEP_CACHE) return path.resolve(env.VERYDEEP_CACHE);
  const { posix, win32 } = path;
  // A relative XDG_CACHE_HOME is to be ignored, says its specification.
  if (platform === "win32" && env.LOCALAPPDATA) return win32.join(env.LOCALAPPDATA, "verydeep");
  if (platform !== "win32" && platform !== "darwin" && env.XDG_CACHE_HOME?.startsWith("/"))
    return posix.join(env.XDG_CACHE_HOME, "verydeep");
  if (home === "") return null;
  if (platform === "win32") return win32.join(home, "AppData", "Local", "verydeep");
  if (platform === "darwin") return posix.join(home, "Library", "Caches", "verydeep");
  return posix.join(home, ".cache", "verydeep");
}
