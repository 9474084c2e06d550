// Short notes at the foot of the page, most with an undo. The newest undoable action is also what `z` takes back.
import { t } from '../i18n/index.svelte'

export interface Toast {
  id: number
  text: string
  tone: 'plain' | 'trouble'
  action?: { label: string; run: () => void | Promise<void> }
  /** When it goes by itself, in milliseconds since 1970. */
  until: number
}
interface Options {
  tone?: Toast['tone']
  seconds?: number
  action?: Toast['action']
}
const SHOWN_SECONDS = 7
const MOST = 3

let next = 1
const state = $state<{ toasts: Toast[] }>({ toasts: [] })
const timers = new Map<number, ReturnType<typeof setTimeout>>()

export function toasts(): Toast[] {
  return state.toasts
}

/** Show a note; returns its id, for `dismiss`. */
export function notify(text: string, options: Options = {}): number {
  const { tone = 'plain', seconds = SHOWN_SECONDS, action } = options
  const toast: Toast = { id: next++, text, tone, until: Date.now() + seconds * 1000, ...(action ? { action } : {}) }
  // One that can be undone for longer is not pushed out by what would go sooner.
  const soonest = [...state.toasts].sort((one, other) => one.until - other.until)
  for (const old of soonest.slice(0, Math.max(0, state.toasts.length - MOST + 1))) dismiss(old.id)
  state.toasts.push(toast)
  if (Number.isFinite(seconds)) timers.set(toast.id, setTimeout(() => dismiss(toast.id), seconds * 1000))
  return toast.id
}

/** A note about something done that can be taken back. */
export function undoable(text: string, undo: () => void | Promise<void>, seconds = SHOWN_SECONDS): number {
  return notify(text, { seconds, action: { label: t('act.undo'), run: undo } })
}

export function trouble(text: string): number {
  return notify(text, { tone: 'trouble', seconds: SHOWN_SECONDS * 1.5 })
}

export function dismiss(id: number): void {
  clearTimeout(timers.get(id))
  timers.delete(id)
  state.toasts = state.toasts.filter((toast) => toast.id !== id)
}

/** Run a toast's action and take it away. */
export async function act(toast: Toast): Promise<void> {
  dismiss(toast.id)
  await toast.action?.run()
}

/** Take back the newest undoable action that is still shown. Whether there was one. */
export function undoLast(): boolean {
  const newest = state.toasts.findLast((toast) => toast.action)
  if (newest) void act(newest)
  return newest !== undefined
}
