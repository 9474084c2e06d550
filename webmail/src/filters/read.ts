// Sieve → rules, where it says nothing but what rules can say. What a rule cannot hold makes the whole script "foreign": it is then
// shown as text, and never written over without being asked.
import { OPS, tidy, USES, type Action, type Condition, type Field, type Filing, type Op, type Rule } from './rules'
import { parse, parseTest, Unreadable, type Argument, type Command, type Test } from './sieve'
import { write } from './write'

export type Reading =
  /** `exact`: writing the rules gives this very text; else its layout and its own comments would be lost. */
  | { kind: 'rules'; rules: Rule[]; exact: boolean }
  | { kind: 'foreign'; line: number }

/** Thrown inside: a rule cannot say this. */
class Foreign extends Error {
  constructor(readonly line = 0) {
    super('foreign')
  }
}
const NAME = /^\s*rule:\[(.*)\]\s*$/
const FLAGS: Record<string, 'read' | 'star'> = { '\\seen': 'read', '\\flagged': 'star' }
/** Extensions with which strings mean other words than they show (RFC 5229 §3, RFC 5228 §2.4.2.4). */
const MEANS_MORE = ['variables', 'encoded-character']
/** Actions after which flags mean other messages than before. */
const FLAGGED = ['read', 'star', 'label']

export function read(text: string): Reading {
  try {
    const rules = parse(text).commands.flatMap(ruleOf)
    return { kind: 'rules', rules, exact: plain(write(rules)) === plain(text) }
  } catch (fault) {
    if (fault instanceof Unreadable || fault instanceof Foreign) return { kind: 'foreign', line: fault.line }
    throw fault
  }
}
function plain(text: string): string {
  return text.replace(/[ \t\r]+$/gm, '').trim()
}

function ruleOf(command: Command): Rule[] {
  if (command.name === 'require') {
    if (command.args.some((each) => 'strings' in each && each.strings.some((name) => MEANS_MORE.includes(name.toLowerCase())))) throw new Foreign(command.line)
    return []
  }
  if (command.name !== 'if' || !command.block || command.tests.length !== 1) throw new Foreign(command.line)
  try {
    const on = !isBare(command.tests[0] as Test, 'false')
    const test = on ? (command.tests[0] as Test) : parseTest(command.tail[0] ?? '')
    const { match, conditions } = conditionsOf(test)
    const actions = command.block.flatMap(actionsOf)
    const stop = actions.at(-1) === 'stop'
    const done = (stop ? actions.slice(0, -1) : actions).map((each) => (each === 'stop' ? refuse() : each))
    const firstFiled = done.findIndex(({ kind }) => !FLAGGED.includes(kind))
    if (firstFiled >= 0 && done.slice(firstFiled).some(({ kind }) => FLAGGED.includes(kind))) refuse()
    const name = command.comments.flatMap((comment) => NAME.exec(comment)?.[1] ?? []).at(-1) ?? ''
    return [tidy({ name, on, match, conditions, actions: done, stop })]
  } catch (fault) {
    throw fault instanceof Foreign || fault instanceof Unreadable ? new Foreign(command.line) : fault
  }
}
function refuse(): never {
  throw new Foreign()
}
function isBare({ name, args, tests }: Test, wanted: string): boolean {
  return name === wanted && !args.length && !tests.length
}

// --- tests ------------------------------------------------------------------------------------------

function conditionsOf(test: Test): Pick<Rule, 'match' | 'conditions'> {
  if (isBare(test, 'true')) return { match: 'every', conditions: [] }
  if (test.name === 'allof' || test.name === 'anyof') {
    const match = test.name === 'allof' ? 'all' : 'any'
    if (test.args.length || !test.tests.length) refuse()
    // A list of words is "one of them": conditions of their own where one is enough.
    return { match, conditions: test.tests.flatMap((each) => conditionOf(each, match === 'any' || test.tests.length === 1)) }
  }
  const conditions = conditionOf(test, true)
  return { match: conditions.length > 1 ? 'any' : 'all', conditions }
}
/** The conditions of one test; several only where `many` says that one of them is enough. */
function conditionOf(test: Test, many: boolean): Condition[] {
  if (test.name === 'not') {
    const inner = test.tests[0]
    if (test.args.length || test.tests.length !== 1 || !inner || inner.name === 'not') refuse()
    return conditionOf(inner, false).map((each) => ({ ...each, not: true }))
  }
  if (test.tests.length) refuse()
  const found = COMMANDS[test.name]?.(new Args(test.args)) ?? refuse()
  if (!found.length || (found.length > 1 && !many)) refuse()
  return found
}

/** Arguments of a test, taken one by one; what is left over at the end is foreign. */
class Args {
  readonly tags: string[] = []
  readonly values: Exclude<Argument, { tag: string }>[] = []
  /** Values that belong to a tag stand behind it. */
  private readonly tagged = new Map<string, string[]>()
  constructor(args: Argument[], withValue: readonly string[] = ['zone', 'value', 'comparator']) {
    let tag = ''
    for (const each of args) {
      if ('tag' in each) {
        this.tags.push(each.tag)
        tag = withValue.includes(each.tag) ? each.tag : ''
      } else if (tag && 'strings' in each) {
        this.tagged.set(tag, each.strings)
        tag = ''
      } else this.values.push(each)
    }
    // What everybody has unless they ask for another (RFC 5228 §2.7.3).
    if (this.tagged.get('comparator')?.[0] === 'i;ascii-casemap') this.took('comparator')
  }
  took(tag: string): boolean {
    const at = this.tags.indexOf(tag)
    if (at >= 0) this.tags.splice(at, 1)
    return at >= 0
  }
  word(tag: string): string | undefined {
    const found = this.took(tag) ? this.tagged.get(tag) : undefined
    return found?.length === 1 ? found[0] : undefined
  }
  op(): Op {
    // RFC 5228 §2.7.1: without a word for it, it is `:is`.
    const found = (['contains', 'is', 'matches'] as const).find((each) => this.took(each))
    return found ?? 'is'
  }
  strings(): string[] {
    const found = this.values.shift()
    return found && 'strings' in found ? found.strings : refuse()
  }
  end(): void {
    if (this.tags.length || this.values.length) refuse()
  }
}
const FIELD_OF: Record<string, Field> = { from: 'from', subject: 'subject', 'list-id': 'list' }

function condition(field: Field, op: Op, value: string, more: Partial<Condition> = {}): Condition {
  return OPS[field].includes(op) ? { field, op, not: false, value, header: '', zone: '', ...more } : refuse()
}
/** Which field some names of header fields mean. */
function fieldOf(names: string[]): { field: Field; header: string } {
  const lower = names.map((name) => name.toLowerCase()).sort()
  if (lower.join() === 'cc,to') return { field: 'to', header: '' }
  const [name] = names
  if (names.length !== 1 || !name) refuse()
  const field = FIELD_OF[name.toLowerCase()] ?? 'header'
  return { field, header: field === 'header' ? name : '' }
}
const COMMANDS: Record<string, (args: Args) => Condition[]> = {
  header(args) {
    const mime = args.took('mime')
    const child = args.took('anychild')
    const op = args.op()
    const names = args.strings()
    const values = args.strings()
    args.end()
    if (mime || child) {
      const isOurs = mime && child && op === 'contains' && names.join().toLowerCase() === 'content-disposition' && values.join().toLowerCase() === 'attachment'
      return isOurs ? [condition('attachment', 'exists', '')] : refuse()
    }
    const { field, header } = fieldOf(names)
    if ((field === 'from' || field === 'to') && op !== 'contains') refuse() // about the whole field, not the address
    return values.map((value) => condition(field, op, value, { header }))
  },
  address(args) {
    const domain = args.took('domain')
    if (!domain) args.took('all')
    const op = args.op()
    const { field } = fieldOf(args.strings())
    const values = args.strings()
    args.end()
    if ((field !== 'from' && field !== 'to') || op === 'contains' || (domain && op !== 'is')) refuse()
    return values.map((value) => condition(field, domain ? 'domain' : op, value))
  },
  exists(args) {
    const { field, header } = fieldOf(args.strings())
    args.end()
    return [condition(field, 'exists', '', { header })]
  },
  body(args) {
    args.took('text')
    const op = args.op()
    const values = args.strings()
    args.end()
    return values.map((value) => condition('body', op, value))
  },
  size(args) {
    const op = args.took('over') ? 'over' : args.took('under') ? 'under' : refuse()
    const [value] = args.values.splice(0)
    args.end()
    if (!value || !('number' in value) || value.number % 1024) refuse()
    const kilo = value.number / 1024
    return [condition('size', op, kilo && kilo % 1024 === 0 ? `${kilo / 1024}M` : `${kilo}K`)]
  },
  currentdate(args) {
    const zone = args.word('zone')
    const how = args.word('value')
    const part = args.strings()
    const values = args.strings()
    args.end()
    if (zone === undefined || part.join() !== 'date' || values.length !== 1 || (how !== 'ge' && how !== 'le')) refuse()
    return [condition('date', how === 'ge' ? 'since' : 'until', values[0] as string, { zone })]
  },
}

// --- actions ----------------------------------------------------------------------------------------

function actionsOf(command: Command): (Action | 'stop')[] {
  if (command.block || command.tests.length) refuse()
  const args = new Args(command.args, ['mailboxid', 'specialuse'])
  const found = ACTIONS[command.name]?.(args) ?? refuse()
  args.end()
  return found
}
function one(args: Args): string {
  const [only, ...more] = args.strings()
  return only === undefined || more.length ? refuse() : only
}
const ACTIONS: Record<string, (args: Args) => (Action | 'stop')[]> = {
  addflag(args) {
    // RFC 5232 §2: several flags may stand in one string.
    const flags = args.strings().flatMap((each) => each.split(/\s+/)).filter(Boolean)
    return flags.map((flag) => {
      const known = FLAGS[flag.toLowerCase()]
      return known ? { kind: known } : flag.startsWith('\\') ? refuse() : { kind: 'label', keyword: flag }
    })
  },
  fileinto(args) {
    const create = args.took('create')
    const copy = args.took('copy')
    const id = args.word('mailboxid')
    const use = args.word('specialuse')
    const name = one(args)
    if (use === undefined) return create ? refuse() : [{ kind: copy ? 'copy' : 'move', folder: { id: id ?? '', name } }]
    const kind = Object.keys(USES).find((each) => USES[each] === use) as Filing | undefined
    return kind && create && !copy && id === undefined ? [{ kind, folder: { id: '', name } }] : refuse()
  },
  redirect: (args) => [{ kind: args.took('copy') ? 'forward' : 'redirect', address: one(args) }],
  reject: (args) => [{ kind: 'reject', text: one(args) }],
  keep: () => [{ kind: 'keep' }],
  discard: () => [{ kind: 'discard' }],
  stop: () => ['stop'],
}
