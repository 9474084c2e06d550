// What a move says to the junk filter: the keywords of RFC 8621 §10.4.
import type { Email, Id, Patch } from '../jmap/types'
import { at, patched } from '../store/patch'

interface Folders {
  junk?: Id
  trash?: Id
}

/** The keywords that go with a move to a folder: into Junk, or out of it to be kept. Who throws junk away does not call it good. */
export function saidOfJunk(email: Pick<Email, 'keywords' | 'mailboxIds'>, move: Patch, to: Id, { junk, trash }: Folders): Patch {
  if (to === junk) return said(true)
  return junk && email.mailboxIds[junk] && to !== trash && !patched(email, move).mailboxIds[junk] ? said(false) : {}
}
const said = (junk: boolean): Patch => ({ [at('keywords', '$junk')]: junk || null, [at('keywords', '$notjunk')]: !junk || null })
