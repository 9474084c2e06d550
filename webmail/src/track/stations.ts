// The journey of a message to one recipient, from what the submission says (RFC 8621 §7).
import type { Key } from '../i18n/index.svelte'
import { nearDate } from '../design/format'
import type { Email, EmailSubmission } from '../jmap/types'

export interface Station {
  title: Key
  values: Record<string, string>
  state: 'done' | 'waiting' | 'failed'
  time?: string
  says?: string
}

export function stationsOf(email: Email, submission: EmailSubmission, recipient: string): Station[] {
  const statuses = Object.entries(submission.deliveryStatus ?? {})
  const status = statuses.find(([address]) => address.toLowerCase() === recipient.toLowerCase())?.[1]
  const stations: Station[] = [
    { title: 'track.written', values: {}, state: 'done', ...(email.sentAt ? { time: email.sentAt } : {}) },
    { title: 'track.accepted', values: {}, state: 'done', time: email.receivedAt },
  ]
  if (submission.undoStatus === 'canceled') return [...stations, { title: 'track.cancelled', values: {}, state: 'failed' }]
  if (submission.undoStatus === 'pending') return [...stations, { title: 'track.held', values: { when: nearDate(new Date(submission.sendAt)) }, state: 'waiting', time: submission.sendAt }]
  const says = status?.smtpReply ? { says: status.smtpReply } : {}
  switch (status?.delivered) {
    case 'yes':
      stations.push({ title: 'track.delivered', values: {}, state: 'done', ...says })
      break
    case 'no':
      stations.push({ title: 'track.failed', values: {}, state: 'failed', ...says })
      break
    case 'queued':
      stations.push({ title: 'track.queued', values: {}, state: 'waiting', ...says })
      break
    default:
      stations.push({ title: /^2/.test(status?.smtpReply ?? '') ? 'track.delivered' : 'track.unknown', values: {}, state: /^2/.test(status?.smtpReply ?? '') ? 'done' : 'waiting', ...says })
  }
  if (status?.displayed === 'yes') stations.push({ title: 'track.displayed', values: {}, state: 'done' })
  return stations
}
