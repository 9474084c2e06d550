// Rules and the Sieve that says them: what is written is read back as it was, and what rules cannot say stays a text.
import { describe, expect, it } from 'vitest'
import { read } from '../src/filters/read'
import { faultsOf, FIELDS, KINDS, newCondition, newRule, OPS, tidy, type Action, type ActionKind, type Condition, type Rule } from '../src/filters/rules'
import { parse } from '../src/filters/sieve'
import { write } from '../src/filters/write'

function rule(more: Partial<Rule>): Rule {
  return tidy({ ...newRule(), conditions: [newCondition('subject', 'invoice')], actions: [{ kind: 'read' }], ...more })
}
const rulesOf = (text: string) => {
  const found = read(text)
  return found.kind === 'rules' ? found.rules : undefined
}

describe('the form in which rules are kept', () => {
  it('reads as somebody would write it', () => {
    const rules = [
      rule({
        name: 'Invoices',
        conditions: [newCondition('from', 'shop.example'), newCondition('subject', 'in"voice')],
        actions: [{ kind: 'move', folder: { id: 'M12', name: 'Money/Invoices' } }, { kind: 'read' }],
      }),
      rule({ name: 'Big ones', on: false, match: 'every', conditions: [], actions: [{ kind: 'archive', folder: { id: '', name: 'Archive' } }], stop: false }),
    ]
    expect(write(rules)).toBe(`# Rules of the webmail (Settings, Filters). What keeps to this form is shown there as rules.
require ["fileinto", "imap4flags", "mailbox", "mailboxid", "special-use"];

# rule:[Invoices]
if allof (header :contains "From" "shop.example", header :contains "Subject" "in\\"voice")
{
    addflag "\\\\Seen";
    fileinto :mailboxid "M12" "Money/Invoices";
    stop;
}

# rule:[Big ones]
if false # true
{
    fileinto :create :specialuse "\\\\Archive" "Archive";
}
`)
  })
  it('comes back the same, whatever is in it', () => {
    const random = numbers(7)
    for (let round = 0; round < 1000; round++) {
      const rules = Array.from({ length: Math.floor(random() * 4) }, () => tidy(anyRule(random)))
      expect(read(write(rules))).toEqual({ kind: 'rules', rules, exact: true })
      expect(read(write(rules).replaceAll('\n', '\r\n'))).toEqual({ kind: 'rules', rules, exact: true })
    }
  })
  it('keeps a rule that is off on one line, so that nothing of it is done', () => {
    const off = rule({ on: false, name: 'a\n} discard; #', conditions: [newCondition('subject', 'x\n} discard; if true {\r\nstop;')] })
    const { commands } = parse(write([off]))
    expect(commands.map(({ name }) => name)).toEqual(['require', 'if'])
    expect(commands[1]?.tests[0]?.name).toBe('false')
  })
  it('says a text to whom it refuses, with dots and empty lines', () => {
    const text = 'Sorry.\n.\n..\n\n.hidden'
    expect(rulesOf(write([rule({ actions: [{ kind: 'reject', text }] })]))?.[0]?.actions).toEqual([{ kind: 'reject', text }])
  })
  it('asks for what it uses and nothing else', () => {
    expect(write([])).not.toContain('require')
    expect(write([rule({ conditions: [newCondition('attachment'), newCondition('body', 'x')], actions: [{ kind: 'forward', address: 'a@b.example' }] })])).toContain('require ["body", "copy", "mime"];')
  })
})

describe('scripts of others', () => {
  it('are rules where they say what rules say, but not exactly', () => {
    const roundcube = `require ["fileinto","imap4flags"];
# rule:[Lists]
if anyof (header :contains "list-id" ["one","two"], size :over 2M)
{
\tfileinto "Lists";
\tstop;
}
# rule:[Old]
if false # allof (not header :contains "subject" "x")
{
\taddflag "\\\\Seen";
\tkeep;
}
`
    const found = read(roundcube)
    expect(found).toEqual({
      kind: 'rules',
      exact: false,
      rules: [
        { name: 'Lists', on: true, match: 'any', stop: true, conditions: [newCondition('list', 'one'), newCondition('list', 'two'), { ...newCondition('size', '2M') }], actions: [{ kind: 'move', folder: { id: '', name: 'Lists' } }] },
        { name: 'Old', on: false, match: 'all', stop: false, conditions: [{ ...newCondition('subject', 'x'), not: true }], actions: [{ kind: 'read' }, { kind: 'keep' }] },
      ],
    })
  })
  it('are rules but not exactly when they hold words of their own', () => {
    expect(read(write([rule({})]).replace('\nif', '\n# my own thought\nif'))).toMatchObject({ kind: 'rules', exact: false })
  })
  it.each([
    ['a branch', 'if true { keep; } else { discard; }'],
    ['a block inside a block', 'if true { if true { keep; } }'],
    ['an action outside of a rule', 'require "fileinto"; fileinto "x";'],
    ['variables', 'require "variables"; set "a" "b";'],
    ['words that are put in', 'require ["variables", "fileinto"]; if header :matches "Subject" "[*]" { fileinto "${1}"; }'],
    ['another comparator', 'if header :comparator "i;octet" :contains "Subject" "x" { keep; }'],
    ['a list of words where all must hold', 'if allof (header :contains "Subject" ["a", "b"], size :over 1K) { keep; }'],
    ['"not" with a list', 'if not header :contains "Subject" ["a", "b"] { keep; }'],
    ['the envelope', 'require "envelope"; if envelope "from" "x@y.example" { keep; }'],
    ['a flag that is set after filing', 'require ["fileinto", "imap4flags"]; if true { fileinto "a"; addflag "b"; }'],
    ['flags given to one action', 'require ["fileinto", "imap4flags"]; if true { fileinto :flags "b" "a"; }'],
    ['something after stop', 'if true { stop; keep; }'],
    ['a special use that is no action of ours', 'require ["fileinto", "special-use", "mailbox"]; if true { fileinto :create :specialuse "\\\\Junk" "Junk"; }'],
    ['a size in octets', 'if size :over 1000 { keep; }'],
    ['an unfinished text', 'if true { keep; '],
    ['what is no Sieve', '<html>'],
    ['a rule that is off without its test', 'if false { keep; }'],
    ['a test within the name of another', 'if header :is "From" "a@b.example" { keep; }'],
  ])('stay text: %s', (_, text) => {
    expect(read(text).kind).toBe('foreign')
  })
  it('say at which line they are no rules', () => {
    expect(read('# a\nrequire "fileinto";\n\nif true { keep; }\nelse { stop; }\n')).toEqual({ kind: 'foreign', line: 5 })
  })
  it('that are empty are no rules at all', () => {
    expect(read('')).toMatchObject({ kind: 'rules', rules: [] })
    expect(read('# only a comment')).toMatchObject({ kind: 'rules', rules: [], exact: false })
    expect(read(write([]))).toMatchObject({ kind: 'rules', rules: [], exact: true })
  })
  it('cannot exhaust the page by nesting', () => {
    expect(read(`if ${'not '.repeat(50_000)} true { keep; }`).kind).toBe('foreign')
    expect(read('{'.repeat(100_000)).kind).toBe('foreign')
  })
})

describe('a rule that cannot be kept', () => {
  it.each<[string, Partial<Rule>]>([
    ['value', { conditions: [newCondition('subject', ' ')] }],
    ['condition', { conditions: [] }],
    ['size', { conditions: [newCondition('size', 'big')] }],
    ['header', { conditions: [{ ...newCondition('header', 'x'), header: 'No: header' }] }],
    ['date', { conditions: [newCondition('date', 'tomorrow')] }],
    ['action', { actions: [], stop: false }],
    ['folder', { actions: [{ kind: 'move', folder: { id: '', name: '' } }] }],
    ['address', { actions: [{ kind: 'forward', address: 'nobody' }] }],
    ['text', { actions: [{ kind: 'reject', text: ' ' }] }],
    ['keyword', { actions: [{ kind: 'label', keyword: 'two words' }] }],
    ['reject', { actions: [{ kind: 'reject', text: 'No.' }, { kind: 'star' }] }],
  ])('says why: %s', (why, more) => {
    expect(faultsOf({ ...newRule(), conditions: [newCondition('subject', 'a')], actions: [{ kind: 'star' }], ...more }).map((each) => each.why)).toEqual([why])
  })
  it('says nothing of one that can', () => {
    const random = numbers(3)
    for (let round = 0; round < 500; round++) {
      const made = anyRule(random)
      const alone = made.actions.filter(({ kind }) => kind !== 'reject')
      expect(faultsOf({ ...made, actions: alone, stop: true })).toEqual([])
    }
  })
})

// --- rules by chance ----------------------------------------------------------------------------------

function numbers(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return seed / 2 ** 32
  }
}
function anyRule(random: () => number): Rule {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const words = () => pick(['x', 'a "b" \\c', '发票', ' ] } ; # /* */ ', 'text:', '*\\*?', '${a}', ']', "it's", '.', ':contains', '🦊 fox', 'two\nlines'])
  const condition = (): Condition => {
    const field = pick(FIELDS)
    const value = field === 'size' ? pick(['500K', '2M', '1536K']) : field === 'date' ? '2026-12-01' : words()
    return { field, op: pick(OPS[field]), not: random() < 0.3, value, header: field === 'header' ? pick(['X-Spam', 'Reply-To', 'To']) : '', zone: field === 'date' ? pick(['+0800', '-0330']) : '' }
  }
  const actions: Record<ActionKind, () => Action> = {
    read: () => ({ kind: 'read' }),
    star: () => ({ kind: 'star' }),
    keep: () => ({ kind: 'keep' }),
    discard: () => ({ kind: 'discard' }),
    label: () => ({ kind: 'label', keyword: pick(['work', '$later', 'a]b'.replace(']', '')]) }),
    move: () => ({ kind: 'move', folder: { id: pick(['', 'M7']), name: words() } }),
    copy: () => ({ kind: 'copy', folder: { id: pick(['', 'M7']), name: words() } }),
    archive: () => ({ kind: 'archive', folder: { id: '', name: 'Archive' } }),
    trash: () => ({ kind: 'trash', folder: { id: '', name: '已删除' } }),
    forward: () => ({ kind: 'forward', address: 'a@b.example' }),
    redirect: () => ({ kind: 'redirect', address: "o'hara+x@b.example" }),
    reject: () => ({ kind: 'reject', text: pick(['No.', 'One\n.two\n.\nthree', '"quoted" \\ text']) }),
  }
  const match = pick(['all', 'any', 'every'] as const)
  return {
    name: words(),
    on: random() < 0.7,
    match,
    conditions: Array.from({ length: 1 + Math.floor(random() * 3) }, condition),
    actions: Array.from({ length: Math.floor(random() * 4) }, () => actions[pick(KINDS)]()),
    stop: random() < 0.5,
  }
}
