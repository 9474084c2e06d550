// Rules → Sieve (RFC 5228), in one canonical form that reads well: `read.ts` gets the same rules back from it. Each rule has its name in
// a comment, where Roundcube has it too; one that is off is `if false` with its test in a comment behind, so that it does nothing and loses nothing.
import { tidy, USES, type Action, type Condition, type Rule } from './rules'

export const HEADING = '# Rules of the webmail (Settings, Filters). What keeps to this form is shown there as rules.'
const COLUMNS: Record<string, string> = { since: 'ge', until: 'le' } // RFC 5231 §4.1

/** A script that does what the rules say. */
export function write(rules: Rule[]): string {
  const kept = rules.map(tidy)
  const needs = new Set(kept.flatMap(needsOf))
  const lines = [HEADING]
  if (needs.size) lines.push(`require [${[...needs].sort().map(quoted).join(', ')}];`)
  for (const rule of kept) lines.push('', ...linesOf(rule))
  return `${lines.join('\n')}\n`
}

function linesOf(rule: Rule): string[] {
  const test = testOf(rule)
  const does = [...rule.actions.map(actionLine), ...(rule.stop ? ['stop;'] : [])]
  return [`# rule:[${rule.name}]`, rule.on ? `if ${test}` : `if false # ${test}`, '{', ...does.map((line) => `    ${line}`), '}']
}
function testOf({ match, conditions }: Rule): string {
  if (match === 'every') return 'true'
  const tests = conditions.map(conditionTest)
  return `${match === 'all' ? 'allof' : 'anyof'} (${tests.join(', ')})`
}
function conditionTest(condition: Condition): string {
  return `${condition.not ? 'not ' : ''}${bareTest(condition)}`
}
function bareTest({ field, op, value, header, zone }: Condition): string {
  const words = quoted(value)
  if (field === 'size') return `size :${op} ${value}`
  if (field === 'body') return `body :text :contains ${words}`
  if (field === 'attachment') return 'header :mime :anychild :contains "Content-Disposition" "attachment"'
  if (field === 'date') return `currentdate :zone ${quoted(zone)} :value ${quoted(COLUMNS[op] ?? 'ge')} "date" ${words}`
  const names = field === 'to' ? '["To", "Cc"]' : quoted(field === 'from' ? 'From' : field === 'subject' ? 'Subject' : field === 'list' ? 'List-Id' : header)
  if (op === 'exists') return `exists ${names}`
  // People's names are part of the field, not of the address; "is" is about the address alone.
  if ((field === 'from' || field === 'to') && op !== 'contains') return `address ${op === 'domain' ? ':domain :is' : `:all :${op}`} ${names} ${words}`
  return `header :${op} ${names} ${words}`
}
function actionLine(action: Action): string {
  switch (action.kind) {
    case 'read':
      return 'addflag "\\\\Seen";'
    case 'star':
      return 'addflag "\\\\Flagged";'
    case 'label':
      return `addflag ${quoted(action.keyword)};`
    case 'move':
    case 'copy':
      return `fileinto ${action.kind === 'copy' ? ':copy ' : ''}${action.folder.id ? `:mailboxid ${quoted(action.folder.id)} ` : ''}${quoted(action.folder.name)};`
    case 'archive':
    case 'trash':
      return `fileinto :create :specialuse ${quoted(USES[action.kind] ?? '')} ${quoted(action.folder.name)};`
    case 'forward':
      return `redirect :copy ${quoted(action.address)};`
    case 'redirect':
      return `redirect ${quoted(action.address)};`
    case 'reject':
      return action.text.includes('\n') ? `reject text:\n${action.text.replace(/^\./gm, '..')}\n.\n;` : `reject ${quoted(action.text)};`
    default:
      return `${action.kind};`
  }
}

function needsOf({ conditions, actions }: Rule): string[] {
  return [...conditions.flatMap(conditionNeeds), ...actions.flatMap(actionNeeds)]
}
function conditionNeeds({ field }: Condition): string[] {
  if (field === 'body') return ['body']
  if (field === 'attachment') return ['mime']
  return field === 'date' ? ['date', 'relational'] : []
}
function actionNeeds(action: Action): string[] {
  switch (action.kind) {
    case 'read':
    case 'star':
    case 'label':
      return ['imap4flags']
    case 'move':
    case 'copy':
      return ['fileinto', ...(action.kind === 'copy' ? ['copy'] : []), ...(action.folder.id ? ['mailboxid'] : [])]
    case 'archive':
    case 'trash':
      return ['fileinto', 'mailbox', 'special-use']
    case 'forward':
      return ['copy']
    case 'reject':
      return ['reject']
    default:
      return []
  }
}

/** RFC 5228 §2.4.2. */
export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}
