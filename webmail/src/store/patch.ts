// Patches of messages (RFC 8620 §5.3) as values: applied here before the server knows of them, and turned round for undo.
import type { Email, Patch } from '../jmap/types'

type Changeable = Pick<Email, 'keywords' | 'mailboxIds' | 'snoozed'>

/** Until when a message is snoozed: changed whole. */
const SNOOZED = 'snoozed'

/** The message with the patch applied. Only keywords and mailboxIds change, whole or by path, and `snoozed`. */
export function patched<T extends Changeable>(email: T, patch: Patch): T {
  const made = { ...email, keywords: { ...email.keywords }, mailboxIds: { ...email.mailboxIds } }
  for (const [path, value] of Object.entries(patch)) {
    if (path === SNOOZED) {
      made.snoozed = value as Email['snoozed']
      continue
    }
    const [property, key] = split(path)
    if (key === undefined) made[property] = { ...(value as Record<string, boolean>) }
    else if (value) made[property][key] = true
    else delete made[property][key]
  }
  return made
}

/** The patch that brings `email` back to what it is now, after `patch` was applied to it. */
export function inverse(email: Changeable, patch: Patch): Patch {
  const back: Patch = {}
  for (const path of Object.keys(patch)) {
    if (path === SNOOZED) {
      back[path] = email.snoozed ?? null
      continue
    }
    const [property, key] = split(path)
    back[path] = key === undefined ? { ...email[property] } : email[property][key] ? true : null
  }
  return back
}

/** Whether the patch would change anything. */
export function changes(email: Changeable, patch: Patch): boolean {
  if (patch[SNOOZED]) return true // perhaps another time
  const after = patched(email, patch)
  return (['keywords', 'mailboxIds'] as const).some((property) => {
    const before = Object.keys(email[property])
    return before.length !== Object.keys(after[property]).length || before.some((key) => !after[property][key])
  })
}

/** A path's two parts. A key's ~ and / are escaped as ~0 and ~1 (RFC 6901 §3). */
function split(path: string): ['keywords' | 'mailboxIds', string | undefined] {
  const [property, key] = path.split('/', 2)
  if (property !== 'keywords' && property !== 'mailboxIds') throw new TypeError(`cannot change ${path} here`)
  return [property, key?.replaceAll('~1', '/').replaceAll('~0', '~')]
}

/** The path of one keyword or mailbox. */
export function at(property: 'keywords' | 'mailboxIds', key: string): string {
  return `${property}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
}
