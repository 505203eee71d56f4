import {existsSync} from "node:fs";
import {defineConfig} from "@playwright/test";

// Debian's browser: nothing is downloaded beside the packages.
const browser = process.env.CHROMIUM ?? ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find((path) => existsSync(path));

export default defineConfig({
  testDir: ".",
  testMatch: process.env.MALL_KIOSK ? "real_mall.mjs" : process.env.PICTURES ? "pictures.mjs" : "*.spec.mjs",
  outputDir: "../../build/browser/results",
  timeout: 60_000,
  workers: 2,
  fullyParallel: true,
  forbidOnly: true,
  retries: 0,
  reporter: [["list"]],
  use: {viewport: {width: 1280, height: 800}, launchOptions: {executablePath: browser, args: ["--no-sandbox"]}, actionTimeout: 8000, trace: "retain-on-failure"},
});
