// Which folder somebody is asked to share: the shell shows the dialog.
import type { Mailbox } from '../jmap/types'

const state = $state<{ folder: Mailbox | undefined }>({ folder: undefined })

export function beingShared(): Mailbox | undefined {
  return state.folder
}
export function share(folder: Mailbox | undefined): void {
  state.folder = folder
}
