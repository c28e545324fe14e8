import { defineConfig } from "vite";

export default defineConfig({
  build: {
    // Small files stay files: each is cached under its own hash, and no data: URL needs a place in the policy.
    assetsInlineLimit: 0,
    // There is one chunk; what preloads others would only be dead weight.
    modulePreload: { polyfill: false },
  },
});
