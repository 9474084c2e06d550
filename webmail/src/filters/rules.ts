// A rule as people make one: what a message must be like, and what is done with it. `write.ts` and `read.ts` turn rules into Sieve and back.

export type Match = 'all' | 'any' | 'every'
export type Field = 'from' | 'to' | 'subject' | 'list' | 'header' | 'body' | 'size' | 'attachment' | 'date'
export type Op = 'contains' | 'is' | 'matches' | 'domain' | 'exists' | 'over' | 'under' | 'since' | 'until'
export interface Condition {
  field: Field
  op: Op
  not: boolean
  value: string
  /** Which one, where the field is `header`. */
  header: string
  /** Where days begin, as RFC 5260 §4.1 writes it, where the field is `date`. */
  zone: string
}
/** A mailbox by its id, which a new name does not change; by its name where there is none (RFC 9042 §3). */
export interface Folder {
  id: string
  name: string
}
export type Plain = 'read' | 'star' | 'keep' | 'discard'
export type Filing = 'move' | 'copy' | 'archive' | 'trash'
export type Sending = 'forward' | 'redirect'
export type Action =
  | { kind: Plain }
  | { kind: Filing; folder: Folder }
  | { kind: 'label'; keyword: string }
  | { kind: Sending; address: string }
  | { kind: 'reject'; text: string }
export type ActionKind = Action['kind']
export interface Rule {
  name: string
  on: boolean
  match: Match
  conditions: Condition[]
  actions: Action[]
  /** Whether the rules below it are not looked at any more. */
  stop: boolean
}

/** Which comparisons a field has; the first is what a new condition begins with. */
export const OPS: Record<Field, readonly Op[]> = {
  from: ['contains', 'is', 'domain', 'matches'],
  to: ['contains', 'is', 'domain', 'matches'],
  subject: ['contains', 'is', 'matches'],
  list: ['contains', 'is', 'exists'],
  header: ['contains', 'is', 'matches', 'exists'],
  body: ['contains'],
  size: ['over', 'under'],
  attachment: ['exists'],
  date: ['since', 'until'],
}
export const FIELDS = Object.keys(OPS) as Field[]
/** Actions in the order in which they are done: flags first, since they are given to what is filed after them (RFC 5232 §2). */
export const KINDS: readonly ActionKind[] = ['read', 'star', 'label', 'move', 'copy', 'archive', 'trash', 'forward', 'redirect', 'keep', 'discard', 'reject']
/** The special uses that archive and trash mean, however the folder is called (RFC 8579 §4). */
export const USES: Record<string, string> = { archive: '\\Archive', trash: '\\Trash' }

/** What an operation needs no value for. */
export const wantsValue = (op: Op): boolean => op !== 'exists'

export function newCondition(field: Field = 'from', value = ''): Condition {
  return { field, op: OPS[field][0] as Op, not: false, value, header: '', zone: '' }
}
export function newRule(): Rule {
  return { name: '', on: true, match: 'all', conditions: [newCondition()], actions: [{ kind: 'move', folder: { id: '', name: '' } }], stop: true }
}

/** A rule in the one form in which it is kept: one line where there is one line, actions in their order, nothing that means nothing. */
export function tidy(rule: Rule): Rule {
  const conditions = rule.match === 'every' ? [] : rule.conditions.map(tidyCondition)
  const actions = rule.actions.map(tidyAction)
  actions.sort((one, other) => KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind))
  return { name: oneLine(rule.name), on: rule.on, match: rule.match === 'every' || conditions.length > 1 ? rule.match : 'all', conditions, actions, stop: rule.stop }
}
function tidyCondition({ field, op, not, value, header, zone }: Condition): Condition {
  const kept = !wantsValue(op) ? '' : field === 'size' ? oneLine(value).toUpperCase().replace(/\s+/g, '') : oneLine(value)
  return { field, op, not, value: kept, header: field === 'header' ? oneLine(header) : '', zone: field === 'date' ? zone : '' }
}
function tidyAction(action: Action): Action {
  if (action.kind === 'reject') return { kind: 'reject', text: action.text.replace(/\r\n?/g, '\n').trim() }
  if ('folder' in action) return { kind: action.kind, folder: { id: action.kind in USES ? '' : action.folder.id, name: oneLine(action.folder.name) } }
  if ('address' in action) return { kind: action.kind, address: oneLine(action.address) }
  return action.kind === 'label' ? { kind: 'label', keyword: oneLine(action.keyword) } : action
}
function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, ' ').trim()
}

/** Why a rule cannot be kept: a word for `filter.fault.…`, and which condition or action it is about. */
export interface Fault {
  why: 'condition' | 'value' | 'size' | 'header' | 'date' | 'action' | 'folder' | 'address' | 'text' | 'keyword' | 'reject'
  part?: 'condition' | 'action'
  index?: number
}
const ADDRESS = /^[^\s@"(),:;<>[\\\]]+@[^\s@"(),:;<>[\\\]]+$/
const HEADER = /^[!-9;-~]{1,70}$/ // RFC 5322 §2.2
const KEYWORD = /^\$?[^\s(){%*"\\\]\u0000-\u0020\u007f-\uffff]+$/ // RFC 9051 §9

export function faultsOf(rule: Rule): Fault[] {
  const found: Fault[] = []
  if (rule.match !== 'every' && !rule.conditions.length) found.push({ why: 'condition' })
  if (rule.match !== 'every') rule.conditions.forEach((each, index) => tell(found, conditionFault(each), 'condition', index))
  rule.actions.forEach((each, index) => tell(found, actionFault(each), 'action', index))
  if (!rule.actions.length && !rule.stop) found.push({ why: 'action' })
  // RFC 5429 §2.1: what is refused is neither kept nor sent on.
  if (rule.actions.length > 1 && rule.actions.some(({ kind }) => kind === 'reject')) found.push({ why: 'reject' })
  return found
}
function tell(found: Fault[], why: Fault['why'] | undefined, part: 'condition' | 'action', index: number): void {
  if (why) found.push({ why, part, index })
}
function conditionFault({ field, op, value, header }: Condition): Fault['why'] | undefined {
  if (field === 'header' && !HEADER.test(header.trim())) return 'header'
  if (field === 'size') return /^\s*\d{1,9}\s*[KM]\s*$/i.test(value) ? undefined : 'size'
  if (field === 'date') return /^\d{4}-\d\d-\d\d$/.test(value) ? undefined : 'date'
  return wantsValue(op) && !value.trim() ? 'value' : undefined
}
function actionFault(action: Action): Fault['why'] | undefined {
  if ('folder' in action) return action.folder.name.trim() ? undefined : 'folder'
  if ('address' in action) return ADDRESS.test(action.address.trim()) ? undefined : 'address'
  if (action.kind === 'label') return KEYWORD.test(action.keyword) ? undefined : 'keyword'
  if (action.kind === 'reject') return action.text.trim() ? undefined : 'text'
  return undefined
}
