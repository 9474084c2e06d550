// The webmail's build: one page, its modules named by their content, into the Python package that serves them.
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: '../posthouse/web/static',
    emptyOutDir: true,
    target: 'es2022',
    manifest: 'manifest.json',
    assetsInlineLimit: 0, // a strict Content-Security-Policy: no data: scripts, no data: styles
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: 'index.html', sw: 'worker/sw.ts' },
      output: { entryFileNames: (chunk) => (chunk.name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js') }, // a worker's name stays
    },
  },
  test: { include: ['test/**/*.test.ts'], testTimeout: 30_000 }, // a machine may be busy with other tests, too
})
