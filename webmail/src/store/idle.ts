// Work that can wait until the page has nothing else to do.
const PATIENCE_MS = 2_000

/** Run it then, at the latest after a while. */
export function whenIdle(run: () => void): void {
  if ('requestIdleCallback' in globalThis) requestIdleCallback(run, { timeout: PATIENCE_MS })
  else setTimeout(run, PATIENCE_MS) // Safari
}
