// Sieve as far as its grammar goes (RFC 5228 §8): commands, arguments, tests, blocks, with the comments before them. It knows no command.

/** A text that is not Sieve by its grammar. */
export class Unreadable extends Error {
  override name = 'Unreadable'
  constructor(readonly line: number) {
    super(`line ${line}`)
  }
}
export type Argument = { tag: string } | { number: number } | { strings: string[] }
export interface Test {
  name: string
  args: Argument[]
  tests: Test[]
}
export interface Command extends Test {
  line: number
  /** Comments that stand before it. */
  comments: string[]
  /** Comments between its test and its block. */
  tail: string[]
  block: Command[] | undefined
}
type Kind = 'word' | 'tag' | 'string' | 'number' | 'sign' | 'comment' | 'end'
interface Token {
  kind: Kind
  text: string
  line: number
}

const PIECES = /[ \t\r\n]+|#([^\n]*)|\/\*([\s\S]*?)\*\/|text:[ \t]*(?:#[^\n]*)?\r?\n((?:(?!\.\r?\n)[^\n]*\n)*)\.\r?\n|"((?:[^"\\]|\\[\s\S])*)"|:([A-Za-z_]\w*)|(\d+[KMGkmg]?)(?!\w)|([A-Za-z_]\w*)|([{}()[\],;])/y
const UNITS: Record<string, number> = { K: 1024, M: 1024 ** 2, G: 1024 ** 3 }
/** RFC 5228 lets an implementation bound this; no rule of ours comes near. */
const DEPTH = 32

export function tokensOf(text: string, line = 1): Token[] {
  const found: Token[] = []
  const add = (kind: Kind, value: string) => found.push({ kind, text: value, line })
  PIECES.lastIndex = 0
  while (PIECES.lastIndex < text.length) {
    const match = PIECES.exec(text)
    if (!match) throw new Unreadable(line)
    const [whole, hash, star, multi, quoted, tag, number, word, sign] = match
    if (hash !== undefined) add('comment', hash.replace(/\r$/, ''))
    else if (star !== undefined) add('comment', star)
    else if (multi !== undefined) add('string', multi.replace(/\r\n/g, '\n').replace(/^\./gm, '').replace(/\n$/, ''))
    else if (quoted !== undefined) add('string', quoted.replace(/\r\n/g, '\n').replace(/\\([\s\S])/g, '$1'))
    else if (tag !== undefined) add('tag', tag.toLowerCase())
    else if (number !== undefined) add('number', number.toUpperCase())
    else if (word !== undefined) add('word', word.toLowerCase())
    else if (sign !== undefined) add('sign', sign)
    line += whole.split('\n').length - 1
  }
  add('end', '')
  return found
}

class Reader {
  private at = 0
  constructor(private readonly tokens: Token[]) {}

  get next(): Token {
    return this.tokens[this.at] as Token
  }
  /** The next token when it is this sign. */
  took(sign: string): boolean {
    const here = this.next.kind === 'sign' && this.next.text === sign
    if (here) this.at += 1
    return here
  }
  take(kind: Kind): Token {
    const token = this.next
    if (token.kind !== kind) throw new Unreadable(token.line)
    this.at += 1
    return token
  }
  want(sign: string): void {
    if (!this.took(sign)) throw new Unreadable(this.next.line)
  }
  comments(): string[] {
    const found: string[] = []
    while (this.next.kind === 'comment') found.push(this.take('comment').text)
    return found
  }
  commands(depth: number): { commands: Command[]; rest: string[] } {
    if (depth > DEPTH) throw new Unreadable(this.next.line)
    const commands: Command[] = []
    for (;;) {
      const comments = this.comments()
      if (this.next.kind !== 'word') return { commands, rest: comments }
      commands.push(this.command(comments, depth))
    }
  }
  private command(comments: string[], depth: number): Command {
    const { text: name, line } = this.take('word')
    const args = this.args()
    const tests = this.tests(depth)
    const tail = this.comments()
    if (this.took(';')) return { name, line, args, tests, comments, tail, block: undefined }
    this.want('{')
    const { commands: block, rest } = this.commands(depth + 1)
    this.want('}')
    return { name, line, args, tests, comments, tail: [...tail, ...rest], block }
  }
  private args(): Argument[] {
    const found: Argument[] = []
    for (;;) {
      const { kind, text, line } = this.next
      if (kind === 'tag') found.push({ tag: text })
      else if (kind === 'number') found.push({ number: Number.parseInt(text) * (UNITS[text.slice(-1)] ?? 1) })
      else if (kind === 'string') found.push({ strings: [text] })
      else if (kind === 'sign' && text === '[') found.push({ strings: this.list(line) })
      else return found
      if (kind !== 'sign') this.at += 1
    }
  }
  private list(line: number): string[] {
    this.want('[')
    const found: string[] = []
    do found.push(this.take('string').text)
    while (this.took(','))
    if (!this.took(']')) throw new Unreadable(line)
    return found
  }
  private tests(depth: number): Test[] {
    if (this.next.kind === 'word') return [this.test(depth + 1)]
    if (!this.took('(')) return []
    const found: Test[] = []
    do found.push(this.test(depth + 1))
    while (this.took(','))
    this.want(')')
    return found
  }
  test(depth: number): Test {
    if (depth > DEPTH) throw new Unreadable(this.next.line)
    const { text: name } = this.take('word')
    return { name, args: this.args(), tests: this.tests(depth) }
  }
}

/** A script's commands, and the comments after the last. Throws Unreadable. */
export function parse(text: string): { commands: Command[]; rest: string[] } {
  const reader = new Reader(tokensOf(text))
  const found = reader.commands(0)
  reader.take('end')
  return found
}
/** One test that stands alone, as in the comment of a rule that is off. Throws Unreadable. */
export function parseTest(text: string): Test {
  const reader = new Reader(tokensOf(text))
  const found = reader.test(0)
  reader.take('end')
  return found
}
