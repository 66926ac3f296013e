import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The hub serves what is built here; `npm run dev` talks to a hub that runs beside it.
export default defineConfig({
  plugins: [svelte()],
  build: { outDir: "../src/ores/hub/page", emptyOutDir: true, target: "es2022" },
  server: { proxy: { "/ores": { target: "http://127.0.0.1:8080", ws: true } } },
});
