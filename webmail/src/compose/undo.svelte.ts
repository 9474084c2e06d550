// How long a sent message can be taken back. It belongs to the device, not to the account.
export const UNDO_CHOICES = [5, 10, 20, 30] as const
const KEY = 'posthouse.undo'
const USUAL = 10

const state = $state<{ seconds: number }>({ seconds: UNDO_CHOICES.find((each) => String(each) === localStorage.getItem(KEY)) ?? USUAL })

export function undoSeconds(): number {
  return state.seconds
}
export function setUndoSeconds(seconds: number): void {
  state.seconds = seconds
  localStorage.setItem(KEY, String(seconds))
}
