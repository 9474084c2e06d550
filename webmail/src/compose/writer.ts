// Who writes when something is answered.
import { trouble } from '../design/toasts.svelte'
import type { Email, EmailAddress, Id } from '../jmap/types'
import { identityOfMask } from '../settings/masked'
import { inWords } from '../settings/own'
import { shown } from '../store/shared.svelte'
import { identityFor } from './composers.svelte'

/** The identity that a message was written to, also as a masked address. undefined: that cannot be told now, and nobody is told a wrong one. */
export async function writer(email: Email, addressed: EmailAddress[]): Promise<Id | undefined> {
  if (!shown().isOwn) return identityFor(addressed)
  try {
    const mask = await identityOfMask(email.id, addressed)
    return identityFor(mask ? [{ name: null, email: mask }] : addressed)
  } catch (fault) {
    trouble(inWords(fault))
    return undefined
  }
}
