// Messages that are written, on this device: kept at every change until the server has them, so that a closed browser, a lost
// connection or a failed sending costs nothing. A window holds a lock on its own; what nobody holds is offered again.
import { mail } from '../store/mail.svelte'
import { composers, draftOf, isEmpty, type Composer, type Draft } from './composers.svelte'

const KEEP_MS = 400
const pending = new Map<string, { timer: ReturnType<typeof setTimeout>; composer: Composer }>()
/** Locks of this page: what its own windows hold is known without them, and they are let go a moment late. */
const mine = new Set<string>()
const lockOf = (key: string) => `posthouse-draft-${key}`

/** Keep what the window holds, a moment later. */
export function keepHere(composer: Composer): void {
  clearTimeout(pending.get(composer.key)?.timer)
  pending.set(composer.key, { composer, timer: setTimeout(() => void keepNow(composer), KEEP_MS) })
}
/** Whether it is kept: a full disk keeps nothing. */
export async function keepNow(composer: Draft): Promise<boolean> {
  clearTimeout(pending.get(composer.key)?.timer)
  pending.delete(composer.key)
  return mail.cache.keepDraft(composer.key, draftOf(composer))
}
/** The server has it, or nobody wants it. */
export async function forgetHere(key: string): Promise<void> {
  clearTimeout(pending.get(key)?.timer)
  pending.delete(key)
  await mail.cache.forgetDraft(key)
}
/** The page is going: keep everything at once. */
export function keepAll(): void {
  for (const { composer } of pending.values()) void keepNow(composer)
}

/** Say that a window of this browser writes it; returns how to let go. Without Web Locks nothing is said. */
export function holdDraft(key: string): () => void {
  let release = () => {}
  const released = new Promise<void>((resolve) => (release = resolve))
  mine.add(lockOf(key))
  void navigator.locks?.request(lockOf(key), () => released).then(() => mine.delete(lockOf(key)))
  return release
}
/** Do something with a kept message, unless another window has it. */
export async function withKept<T>(key: string, run: () => Promise<T>): Promise<T | undefined> {
  if (!navigator.locks) return run()
  return navigator.locks.request(lockOf(key), { ifAvailable: true }, (lock) => (lock ? run() : undefined))
}

/** What was left unfinished or unsent, and no window has open. */
export async function keptDrafts(): Promise<Draft[]> {
  const own = new Set(mine)
  const held = new Set((await navigator.locks?.query())?.held?.flatMap(({ name }) => (name && !own.has(name) ? name : [])))
  const open = new Set(composers().map((composer) => composer.key))
  const all = (await mail.cache.drafts()) as [string, Draft][]
  return all.flatMap(([key, draft]) => (held.has(lockOf(key)) || open.has(key) || isEmpty(draft) ? [] : [{ ...draft, key }]))
}
