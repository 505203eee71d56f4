import {existsSync} from "node:fs";
import {defineConfig} from "@playwright/test";

// Debian's browser: nothing is downloaded beside the packages.
const browser = process.env.CHROMIUM ?? ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find((path) => existsSync(path));

export default defineConfig({
  testDir: ".",
  testMatch: process.env.MALL_BIN ? "real/*.spec.mjs" : process.env.MALL_KIOSK ? "real_mall.mjs" : process.env.PICTURES ? "pictures.mjs" : "*.spec.mjs",
  testIgnore: process.env.MALL_BIN ? [] : "real/**",
  outputDir: "../../build/browser/results",
  timeout: 60_000,
  workers: process.env.MALL_BIN ? 1 : 2, // one mall for all
  fullyParallel: true,
  forbidOnly: true,
  retries: 0,
  reporter: [["list"]],
  use: {viewport: {width: 1280, height: 800}, launchOptions: {executablePath: browser, args: ["--no-sandbox"]}, actionTimeout: process.env.MALL_BIN ? 20_000 : 8000, trace: "retain-on-failure"},
});
