// Masked addresses (docs/jmap-extensions.md): the account's own, each made up for one site.
import { Refused } from '../jmap/client'
import type { EmailAddress, Id, Identity } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import { own, ownSet } from './own'

const URN = 'https://www.fastmail.com/dev/maskedemail'
export const STATES = ['enabled', 'disabled', 'deleted'] as const

export interface Masked {
  id: Id
  email: string
  state: 'pending' | (typeof STATES)[number]
  forDomain: string
  description: string
  createdAt: string
  lastMessageAt: string | null
}

/** Whether this server has them. */
export function hasMasked(): boolean {
  return mail.client.session.accounts[mail.client.accountId]?.accountCapabilities[URN] !== undefined
}

/** All of the account, the latest first. */
export async function masked(): Promise<Masked[]> {
  const { list } = await own<{ list: Masked[] }>('MaskedEmail/get', { ids: null })
  return list.sort((one, other) => other.createdAt.localeCompare(one.createdAt))
}

/**
 * Whoever wrote to a masked address only is answered from it, so that nobody is told whose it is: that needs an identity of
 * that address, without a name or a signature. Where another identity is addressed too, that is known there already.
 * The address; undefined: it came by none.
 */
export async function identityOfMask(emailId: Id, addressed: EmailAddress[]): Promise<string | undefined> {
  const known = new Set(mail.identities.map(({ email }) => email.toLowerCase()))
  if (!hasMasked() || addressed.some(({ email }) => known.has(email.toLowerCase()))) return undefined
  const masks = new Map((await masked()).filter(({ state }) => state !== 'deleted').map((each) => [each.email.toLowerCase(), each]))
  if (!masks.size) return undefined
  const mask = [...addressed.map(({ email }) => email), ...(await deliveredTo(emailId))].flatMap((email) => masks.get(email.toLowerCase()) ?? [])[0]
  if (!mask) return undefined
  if (!known.has(mask.email.toLowerCase())) {
    await ownSet('Identity', { create: { mask: { email: mask.email, name: '' } } })
    mail.takeIdentities((await own<{ list: Identity[] }>('Identity/get')).list)
  }
  return mask.email
}

/** By which address a message came in (RFC 9228), also one that it does not name. */
export async function deliveredTo(emailId: Id): Promise<string[]> {
  const property = 'header:Delivered-To:asText:all'
  const { list } = await own<{ list: Record<string, string[]>[] }>('Email/get', { ids: [emailId], properties: [property] })
  if (!list[0]) throw new Refused('notFound')
  return (list[0][property] ?? []).map((each) => each.trim())
}
