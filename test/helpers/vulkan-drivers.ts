/**
 * Vulkan drivers that compute on the processor, for WebGPU without a GPU: SwiftShader of Debian's chromium, lavapipe of its
 * mesa-vulkan-drivers (from version 23 on; bookworm's own 22.3 gives no adapter). Pages have a driver of their browser's.
 */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";

const DRIVERS = {
  swiftshader: [
    "/usr/lib/chromium/vk_swiftshader_icd.json",
    "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
    "/opt/google/chrome/vk_swiftshader_icd.json",
  ],
  lavapipe: ["/usr/share/vulkan/icd.d/lvp_icd.json", "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json"],
} as const;

/** The driver's file on this machine; null where it is not installed. */
export function driverFile(name: keyof typeof DRIVERS): string | null {
  return DRIVERS[name].find((file) => existsSync(file)) ?? null;
}

// Without a choice of the caller's: the driver that most machines can have. It is read when the first GPU is asked for.
const swiftshader = driverFile("swiftshader");
if (swiftshader !== null) process.env.VK_DRIVER_FILES ??= swiftshader;
// The Vulkan loader complains where there is none, as in containers.
process.env.XDG_RUNTIME_DIR ??= tmpdir();
