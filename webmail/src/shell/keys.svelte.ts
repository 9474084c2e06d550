// Keyboard commands. Pages say what a name does as long as they are shown; this file says which keys mean which name.
// Single keys can be turned off; they never fire while somebody types.
import { tinykeys } from 'tinykeys'
import { undoLast } from '../design/toasts.svelte'
import { go } from '../router.svelte'

export type Command =
  | 'next' | 'previous' | 'open' | 'back' | 'select' | 'select-all' | 'archive' | 'delete' | 'junk' | 'star' | 'reply' | 'reply-all' | 'forward'
  | 'compose' | 'search' | 'snooze' | 'move' | 'label' | 'mute' | 'menu' | 'read' | 'unread' | 'help'
const KEYS: Record<string, Command> = {
  j: 'next', k: 'previous', o: 'open', Enter: 'open', u: 'back', x: 'select', e: 'archive', s: 'star', r: 'reply', a: 'reply-all',
  f: 'forward', c: 'compose', b: 'snooze', m: 'move', v: 'move', l: 'label', '.': 'menu',
}
/** Characters whose key differs from keyboard to keyboard. */
const CHARACTERS: Record<string, Command> = { '#': 'delete', '*': 'select-all', '!': 'junk', '/': 'search', '?': 'help', I: 'read', U: 'unread', M: 'mute' }
const GO: Record<string, string> = { i: '/mail/inbox', s: '/mail/flagged', d: '/mail/drafts', t: '/mail/sent', a: '/mail/all', c: '/contacts' }
const CHORD_MS = 1_000
const OFF = 'posthouse.keys-off'

const state = $state({ enabled: localStorage.getItem(OFF) === null, help: false })
const handlers: Partial<Record<Command, () => void>>[] = []

export function keysEnabled(): boolean {
  return state.enabled
}
export function enableKeys(enabled: boolean): void {
  state.enabled = enabled
  if (enabled) localStorage.removeItem(OFF)
  else localStorage.setItem(OFF, '1')
}
export function helpShown(): boolean {
  return state.help
}
export function showHelp(shown: boolean): void {
  state.help = shown
}

/** Give commands a meaning until the returned function is called; the latest giver is asked first. */
export function onCommands(commands: Partial<Record<Command, () => void>>): () => void {
  handlers.push(commands)
  return () => {
    handlers.splice(handlers.indexOf(commands), 1)
  }
}
export function command(name: Command): boolean {
  if (name === 'help') {
    state.help = !state.help
    return true
  }
  const run = handlers.findLast((commands) => commands[name])?.[name]
  run?.()
  return run !== undefined
}

/** A box that is ticked takes no text: who has just ticked some rows goes on with a key. */
export function takesText(target: HTMLElement): boolean {
  return target.matches('input:not([type=checkbox], [type=radio]), textarea, select')
}
/** Or in a window over the page, whose buttons may have the focus: what lies below must not hear it. */
function typing(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement
  return target.isContentEditable || takesText(target) || target.closest('[role=dialog]') !== null || document.querySelector('dialog[open], [role=menu]') !== null
}

/** Listen to keys; returns how to stop. */
export function watchKeys(): () => void {
  const guard = (run: (event: KeyboardEvent) => void) => (event: KeyboardEvent) => {
    if (!state.enabled || typing(event)) return
    run(event)
  }
  let lastG = -CHORD_MS
  const press = (key: string) =>
    guard((event) => {
      const going = performance.now() - lastG < CHORD_MS
      if (going && GO[key]) return go(GO[key]) // after g a key goes somewhere and does nothing else
      const name = KEYS[key]
      if (!name || (key === 'Enter' && (event.target as HTMLElement).closest('button, a'))) return
      if (command(name)) event.preventDefault()
    })
  const keys = new Set([...Object.keys(KEYS), ...Object.keys(GO)])
  const stop = tinykeys(window, { ...Object.fromEntries([...keys].map((key) => [key, press(key)])), z: guard(() => undoLast()) })
  const character = guard((event) => {
    lastG = event.key === 'g' ? performance.now() : -CHORD_MS
    const name = CHARACTERS[event.key]
    if (name && !event.ctrlKey && !event.metaKey && !event.altKey && command(name)) event.preventDefault()
  })
  addEventListener('keydown', character)
  return () => {
    stop()
    removeEventListener('keydown', character)
  }
}
