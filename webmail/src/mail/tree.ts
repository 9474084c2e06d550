// Folders as a tree: which stand at the top, and which inside which.
import type { Id, Mailbox } from '../jmap/types'

export interface Tree {
  tops: Mailbox[]
  inside: (mailbox: Mailbox) => Mailbox[]
}

/** A folder whose parent is not among them stands at the top. */
export function treeOf(folders: Mailbox[]): Tree {
  const ids = new Set(folders.map((folder) => folder.id))
  const below = (parent: Id | null) => sorted(folders.filter((folder) => (folder.parentId && ids.has(folder.parentId) ? folder.parentId : null) === parent))
  return { tops: below(null), inside: ({ id }) => below(id) }
}
function sorted(list: Mailbox[]): Mailbox[] {
  return list.sort((one, other) => one.sortOrder - other.sortOrder || one.name.localeCompare(other.name))
}
