// Answering an invitation: a REPLY to its organizer by mail (RFC 6047), which can be taken back like any sending.
import { sendEmail } from '../compose/sending'
import { writer } from '../compose/writer'
import { t } from '../i18n/index.svelte'
import type { Email, EmailBody } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import { at } from '../store/patch'
import { invited, replyTo, type Invite, type Standing } from './invite'

export const ANSWERS = { ACCEPTED: '$event-accepted', TENTATIVE: '$event-tentative', DECLINED: '$event-declined' } as const
const SUBJECTS = { ACCEPTED: 'event.accepted-subject', TENTATIVE: 'event.tentative-subject', DECLINED: 'event.declined-subject' } as const

/** What was answered: a keyword of the invitation, so that every client of the account can know. */
export function answerOf(email: Email): Standing | undefined {
  return (Object.keys(ANSWERS) as Standing[]).find((standing) => email.keywords[ANSWERS[standing]])
}
/** Whether there is somebody to answer, and it is not oneself. */
export function canAnswer(invite: Invite): boolean {
  const organizer = invite.organizer?.email.toLowerCase()
  return invite.method === 'REQUEST' && !invite.cancelled && Boolean(organizer) && !mail.identities.some(({ email }) => email.toLowerCase() === organizer)
}

export async function answerInvite(invite: Invite, email: Email, body: EmailBody | undefined, standing: Standing): Promise<boolean> {
  const organizer = invite.organizer
  const writes = await writer(email, [...(email.to ?? []), ...(body?.cc ?? [])])
  const me = invited(invite, mail.identities.map((identity) => identity.email))
  const identity = mail.identities.find((each) => each.email.toLowerCase() === me?.email.toLowerCase()) ?? mail.identities.find((each) => each.id === writes)
  if (!organizer || !identity || writes === undefined) return false
  const from = { name: identity.name || (me?.name ?? ''), email: identity.email }
  const title = invite.title || t('event.title')
  const subject = t(SUBJECTS[standing], { title })
  const before = answerOf(email)
  const patch = { ...(before ? { [at('keywords', ANSWERS[before])]: null } : {}), [at('keywords', ANSWERS[standing])]: true, [at('keywords', '$answered')]: true }
  const back = mail.change({ [email.id]: patch })
  const sent = await sendEmail(
    {
      from: [{ name: from.name || null, email: from.email }],
      to: [{ name: organizer.name === organizer.email ? null : organizer.name, email: organizer.email }],
      subject,
      inReplyTo: body?.messageId ?? null,
      references: body?.messageId ?? null,
      bodyStructure: { type: 'multipart/alternative', subParts: [{ type: 'text/plain', partId: 'words' }, { 'header:Content-Type': ' text/calendar; charset=utf-8; method=REPLY', partId: 'reply' }] }, // RFC 6047 §2.4: the method stands in the type too
      bodyValues: { words: { value: `${subject}\n` }, reply: { value: replyTo(invite, from, standing, new Date()) } },
    },
    { identityId: identity.id, to: [organizer.email], said: t('event.answered'), undone: () => void mail.change(back) },
  )
  if (!sent) mail.change(back)
  return sent
}
