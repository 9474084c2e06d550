// A sent message's submissions and journeys, asked for together.
import { Refused } from '../jmap/client'
import { t } from '../i18n/index.svelte'
import type { Email, EmailSubmission } from '../jmap/types'
import { LIST_PROPERTIES, mail } from '../store/mail.svelte'
import type { Journey } from './journey'
import type { Written } from './stations'

export const ACCOUNT = 'urn:posthouse:params:jmap:account'
const LATELY = 15

export interface Tracked extends Written {
  subject: string | undefined
  ways: { submission: EmailSubmission | undefined; journey: Journey | undefined }[]
}

export async function ofEmail(id: string): Promise<Tracked | undefined> {
  const batch = mail.client.batch()
  const emails = batch.get<Email>('Email', { ids: [id], properties: LIST_PROPERTIES })
  const query = batch.add<{ ids: string[] }>('EmailSubmission/query', { filter: { emailIds: [id] } })
  const submissions = batch.get<EmailSubmission>('EmailSubmission', { '#ids': query.ref('/ids') })
  const journeys = mail.client.has(ACCOUNT) ? batch.add<{ list: Journey[] }>('Journey/get', { emailId: id }) : undefined
  await batch.send()
  const email = emails.result.list[0]
  if (!email) return undefined
  const found = journeys && !journeys.failed ? journeys.result.list : []
  const sent = submissions.failed ? [] : submissions.result.list
  const ways = sent.map((submission) => ({ submission, journey: found.find((journey) => belongs(submission, journey, sent.length === 1)) }))
  return { subject: email.subject || t('list.no-subject'), sentAt: email.sentAt, receivedAt: email.receivedAt, ways: ways.length ? ways : found.map((journey) => ({ submission: undefined, journey })) }
}
/** The journey of a submission: its reply names the trace. */
function belongs(submission: EmailSubmission, journey: Journey, only: boolean): boolean {
  const wanted = submission.envelope?.rcptTo.map(({ email }) => email.toLowerCase()) ?? []
  return only || journey.recipients.every(({ address }) => wanted.includes(address.toLowerCase()))
}

export async function ofTrace(traceId: string): Promise<Tracked | undefined> {
  const [journey] = await journeysOf([traceId])
  if (!journey) return undefined
  const at = new Date(journey.at * 1000).toISOString()
  return { subject: undefined, sentAt: at, receivedAt: at, ways: [{ submission: undefined, journey }] }
}

/** What was sent lately, by whatever program, the latest first. */
export async function lately(): Promise<Journey[]> {
  const batch = mail.client.batch()
  const list = batch.add<{ list: { traceId: string }[] }>('Journey/list', { limit: LATELY })
  await batch.send()
  return journeysOf(list.result.list.map(({ traceId }) => traceId))
}
async function journeysOf(traces: string[]): Promise<Journey[]> {
  const most = mail.client.limit('maxCallsInRequest', LATELY)
  const batch = mail.client.batch()
  const calls = traces.slice(0, most).map((traceId) => batch.add<{ list: Journey[] }>('Journey/get', { traceId }))
  if (calls.length) await batch.send()
  for (const call of calls) if (call.failed && call.failed.type !== 'notFound') throw new Refused(call.failed.type)
  return calls.flatMap((call) => (call.failed ? [] : call.result.list))
}
