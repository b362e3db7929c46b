import { defineConfig } from "vite";

export default defineConfig({
  build: { target: "es2022", assetsInlineLimit: 0 },
  // `npm run dev` beside a running demo: DEMO=http://127.0.0.1:PORT npm run dev
  server: {
    proxy: Object.fromEntries(["/config.json", "/token", "/server"].map((path) => [path, process.env.DEMO ?? ""])),
  },
});
