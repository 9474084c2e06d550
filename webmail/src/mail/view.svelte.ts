// What the mail page shows and what is chosen in it: shared by the list, the reading pane, the keys and the menus.
import { SvelteSet } from 'svelte/reactivity'
import type { Id } from '../jmap/types'
import { go, route } from '../router.svelte'
import type { MessageList } from '../store/list.svelte'
import type { Target } from './actions'
import { placeAddress, placeOf, threadAddress, type Place } from './place'

const state = $state({ cursor: -1, unreadOnly: false })
/** The conversation the keys are at: its row keeps them when rows come and go above it. */
let at: Id | undefined
/** Rows that are ticked, by their message. */
export const selection = new SvelteSet<Id>()
let anchor: Id | undefined

export const view = {
  get unreadOnly() {
    return state.unreadOnly
  },
  set unreadOnly(value: boolean) {
    state.unreadOnly = value
  },
  /** Index of the row that the keys are at. */
  get cursor() {
    return state.cursor
  },
  set cursor(value: number) {
    state.cursor = value
    at = threadAt(value)
  },
  /** The list has changed: the keys' row is where its conversation is now; where that has gone, the one in its place. Whether it moved. */
  follow(): boolean {
    const now = at !== undefined && threadAt(state.cursor) !== at ? (listOf?.indexOfThread(at) ?? -1) : -1
    if (now >= 0) state.cursor = now
    else at = threadAt(state.cursor)
    return now >= 0
  },
}
function threadAt(index: number): Id | undefined {
  const id = index >= 0 ? listOf?.at(index) : undefined
  return id ? place.store.emails.get(id)?.threadId : undefined
}

/** Where a list was when a message, or another page, took its place. */
export const left: { list: MessageList | undefined; top: number; cursor: number } = { list: undefined, top: 0, cursor: -1 }

const place = $derived(placeOf(route(), state.unreadOnly))
export function currentPlace(): Place {
  return place
}
const listOf = $derived.by((): MessageList | undefined => (place.query ? place.store.list(place.query) : undefined))
export function currentList(): MessageList | undefined {
  return listOf
}

/** Index of the open conversation in the list, or -1. */
export function openIndex(): number {
  return place.thread && listOf ? listOf.indexOfThread(place.thread) : -1
}

/** Rows an action means: the ticked ones, else the open one, else the one the keys are at. */
export function target(): Target | undefined {
  const list = listOf
  if (!list) return undefined
  if (selection.size) return { place, list, ids: [...selection] }
  const index = place.thread ? openIndex() : state.cursor
  const id = index >= 0 ? list.at(index) : undefined
  if (id) return { place, list, ids: [id] }
  const newest = place.thread ? place.store.members(place.thread).at(-1)?.id : undefined
  return newest ? { place, list, ids: [newest] } : undefined
}

/** Do something with the target. When the open conversation leaves the list, the next one is shown, or the list. */
export function withTarget(run: (target: Target) => unknown, leaves = false): void {
  const chosen = target()
  if (!chosen) return
  const index = openIndex()
  const wasOpen = place.thread !== undefined
  const ticked = selection.size > 0
  run(chosen)
  selection.clear()
  if (!leaves || !wasOpen || (ticked && chosen.list.indexOfThread(place.thread ?? '') >= 0)) return
  if (place.thread && chosen.list.indexOfThread(place.thread) >= 0) return
  const next = chosen.list.at(Math.min(index, chosen.list.total - 1))
  const email = next ? place.store.emails.get(next) : undefined
  go(email && innerWidth >= 720 ? threadAddress(place, email.threadId) : placeAddress(place), { replace: true })
}

/** Tick one row, or with Shift all up to it. */
export function tick(id: Id, range: boolean): void {
  const ids = listOf?.known() ?? []
  if (range && anchor) {
    const [from, to] = [ids.indexOf(anchor), ids.indexOf(id)].sort((one, other) => one - other) as [number, number]
    if (from >= 0) for (const each of ids.slice(from, to + 1)) selection.add(each)
  } else if (selection.has(id)) selection.delete(id)
  else selection.add(id)
  anchor = id
}

/** Rows that can be ticked together: each is loaded, and changed on the screen at once. */
const MOST_TICKED = 2_000
/** Tick all rows; of a longer list those at the top. What was not looked at yet is loaded before. */
export async function tickAll(): Promise<void> {
  const list = listOf
  const ids = (await list?.whole(MOST_TICKED)) ?? []
  if (list === listOf) for (const id of ids) selection.add(id)
}
/** Whether there is a row that `tickAll` would tick. */
export function mayTickMore(): boolean {
  return listOf !== undefined && selection.size < Math.min(listOf.total, MOST_TICKED)
}

/**
 * The list has changed: what is ticked stays so where a reply stands for its conversation now, and no longer where it has gone from here.
 * Returns what stays though the list does not show it: that is to be asked again when it changes itself.
 */
export function followTicks(): Id[] {
  const unseen: Id[] = []
  for (const id of selection) {
    if (!listOf || listOf.indexOf(id) >= 0) continue
    const email = place.store.emails.get(id)
    const now = email && listOf.at(listOf.indexOfThread(email.threadId))
    if (!now && email && (!place.mailbox || email.mailboxIds[place.mailbox.id])) {
      unseen.push(id) // further down than what is known of the list, or the list was told of a move before its message
      continue
    }
    selection.delete(id)
    if (now) selection.add(now)
  }
  return unseen
}

/** Move the keys' row by `step`; when a conversation is open, open the next one. */
export function step(by: number): void {
  if (!listOf || listOf.total <= 0) return
  const from = place.thread ? openIndex() : state.cursor
  const to = Math.max(0, Math.min(listOf.total - 1, from + by))
  view.cursor = to
  const id = listOf.at(to)
  const email = id ? place.store.emails.get(id) : undefined
  if (place.thread && email) go(threadAddress(place, email.threadId), { replace: true })
}

export function openCursor(): void {
  const id = listOf?.at(state.cursor)
  const email = id ? place.store.emails.get(id) : undefined
  if (email) go(threadAddress(place, email.threadId))
}
