// What several suites look at, and how soon it must be seen.
import assert from 'node:assert/strict'

const AT_ONCE = 1_000 // the bound: from the moment an action is done (or the 250 is there) to what others see
/** Milliseconds that anything may take which is not timed itself: the machine may be slow, and busy with other tests. */
export const PATIENCE = 30_000

/** A message in a list, by a part of what is seen of it. */
export const row = (page, text) => page.locator('.row', { hasText: text }).first()

/**
 * Whether everybody agrees at once. Each of `tries` does something and tells the moment it was done, and what must then be seen. The machine
 * may be busy with other tests, so the best of them counts; what is never seen fails at once.
 */
export async function atOnce(...tries) {
  const took = []
  for (const [act, ...seen] of tries) {
    const moment = await act()
    await Promise.all(seen.map((look) => look()))
    took.push(Date.now() - moment)
    if (took.at(-1) < AT_ONCE) return
  }
  assert.fail(`seen after ${took.map(Math.round).join(', ')} ms`)
}
/** The moment of something done on a page. */
export async function now(act) {
  const moment = Date.now()
  await act()
  return moment
}
