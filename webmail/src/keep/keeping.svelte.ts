// Of which folder somebody is asked for how long it keeps its mail: the shell shows the dialog.
import type { Mailbox } from '../jmap/types'

const state = $state<{ folder: Mailbox | undefined }>({ folder: undefined })

export function beingKept(): Mailbox | undefined {
  return state.folder
}
export function askHowLong(folder: Mailbox | undefined): void {
  state.folder = folder
}
