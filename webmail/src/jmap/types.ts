// Objects of RFC 8620 and RFC 8621, as far as this application reads them.
import type { Judgement } from '../trust/judgement'

export type Id = string

export interface Session {
  capabilities: Record<string, Record<string, unknown>>
  accounts: Record<Id, Account>
  primaryAccounts: Record<string, Id>
  username: string
  apiUrl: string
  downloadUrl: string
  uploadUrl: string
  eventSourceUrl: string
  state: string
}
export interface Account {
  name: string
  isPersonal: boolean
  isReadOnly: boolean
  accountCapabilities: Record<string, Record<string, unknown>>
}

export type Role = 'inbox' | 'drafts' | 'sent' | 'archive' | 'junk' | 'trash' | 'snoozed' | 'scheduled' | 'all' | 'flagged' | 'important'
export interface Mailbox {
  id: Id
  name: string
  parentId: Id | null
  role: Role | null
  sortOrder: number
  totalEmails: number
  unreadEmails: number
  totalThreads: number
  unreadThreads: number
  myRights: Rights
  isSubscribed: boolean
  /** Whom the owner has given rights (RFC 9670 §4); only the owner sees it. */
  shareWith?: Record<Id, Rights> | null
  /** Days after which mail leaves it by itself (docs/jmap-extensions.md); 0: never, null: as the house does. */
  retentionDays?: number | null
}
/** What somebody may do with a folder (RFC 8621 §2), such as `mayReadItems`. */
export type Rights = Record<string, boolean>
/** Somebody with whom one can share (RFC 9670 §2). */
export interface Principal {
  id: Id
  name: string
  email: string | null
}
/** That somebody has changed what one may do with something of theirs (RFC 9670 §3). */
export interface ShareNotification {
  id: Id
  created: string
  changedBy: { name: string; email: string | null; principalId: Id | null }
  objectType: string
  objectAccountId: Id
  objectId: Id
  oldRights: Rights | null
  newRights: Rights | null
  name: string
}

export interface EmailAddress {
  name: string | null
  email: string
}
export interface BodyPart {
  partId: string | null
  blobId: Id | null
  size: number
  name: string | null
  type: string
  charset?: string | null
  disposition: string | null
  cid: string | null
}
export interface BodyValue {
  value: string
  isEncodingProblem?: boolean
  isTruncated?: boolean
}

/** What a list needs of a message. */
export interface Email {
  id: Id
  blobId: Id
  threadId: Id
  mailboxIds: Record<Id, boolean>
  keywords: Record<string, boolean>
  size: number
  receivedAt: string
  sentAt: string | null
  subject: string | null
  from: EmailAddress[] | null
  to: EmailAddress[] | null
  preview: string
  hasAttachment: boolean
  /** The fact that one should know before opening it (docs/jmap-extensions.md). */
  caution?: Caution | null
  snoozed?: { until: string } | null
}
export type Caution = 'look-alike' | 'not-aligned' | 'address-in-name' | 'misleading-link'
/** What reading needs besides. It never changes, so it is fetched once. */
export interface EmailBody {
  id: Id
  messageId: string[] | null
  inReplyTo: string[] | null
  references: string[] | null
  sender: EmailAddress[] | null
  cc: EmailAddress[] | null
  bcc: EmailAddress[] | null
  replyTo: EmailAddress[] | null
  bodyValues: Record<string, BodyValue>
  textBody: BodyPart[]
  htmlBody: BodyPart[]
  attachments: BodyPart[]
  headers?: { name: string; value: string }[]
  /** docs/jmap-extensions.md; null: not judged. */
  verdict?: Judgement | null
}

export interface Thread {
  id: Id
  emailIds: Id[]
}
export interface Identity {
  id: Id
  name: string
  email: string
  replyTo: EmailAddress[] | null
  bcc: EmailAddress[] | null
  textSignature: string
  htmlSignature: string
  mayDelete: boolean
}
export interface DeliveryStatus {
  smtpReply: string
  delivered: 'queued' | 'yes' | 'no' | 'unknown'
  displayed: 'unknown' | 'yes'
}
export interface EmailSubmission {
  id: Id
  emailId: Id
  threadId: Id
  identityId: Id
  envelope: { mailFrom: { email: string }; rcptTo: { email: string }[] } | null
  sendAt: string
  undoStatus: 'pending' | 'final' | 'canceled'
  deliveryStatus: Record<string, DeliveryStatus> | null
}

export type Condition = {
  inMailbox?: Id
  inMailboxOtherThan?: Id[]
  before?: string
  after?: string
  minSize?: number
  maxSize?: number
  hasKeyword?: string
  notKeyword?: string
  someInThreadHaveKeyword?: string
  hasAttachment?: boolean
  text?: string
  from?: string
  to?: string
  cc?: string
  bcc?: string
  subject?: string
  body?: string
}
export type Filter = Condition | { operator: 'AND' | 'OR' | 'NOT'; conditions: Filter[] }
export interface Comparator {
  property: string
  isAscending?: boolean
  keyword?: string
}

export interface SetError {
  type: string
  description?: string
  properties?: string[]
}
export interface SetResponse<T = { id: Id }> {
  accountId: Id
  oldState: string | null
  newState: string
  created: Record<Id, T> | null
  updated: Record<Id, Partial<T> | null> | null
  destroyed: Id[] | null
  notCreated: Record<Id, SetError> | null
  notUpdated: Record<Id, SetError> | null
  notDestroyed: Record<Id, SetError> | null
}
export interface GetResponse<T> {
  state: string
  list: T[]
  notFound: Id[]
}
export interface ChangesResponse {
  oldState: string
  newState: string
  hasMoreChanges: boolean
  created: Id[]
  updated: Id[]
  destroyed: Id[]
}
export interface QueryResponse {
  queryState: string
  canCalculateChanges: boolean
  position: number
  ids: Id[]
  total?: number
  /** How many were asked for, when the server wants fewer. */
  limit?: number
}
export interface QueryChangesResponse {
  oldQueryState: string
  newQueryState: string
  total?: number
  removed: Id[]
  added: { id: Id; index: number }[]
}
/** Values by id to set; null removes. Keys may be paths, as RFC 8620 §5.3 has them. */
export type Patch = Record<string, unknown>
