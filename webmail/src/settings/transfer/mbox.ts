// mbox files (RFC 4155), read piece by piece and written so that `posthouse import` and other programs read them back:
// "From " lines of the text are quoted by one ">", flags stand in Status, X-Status and X-Keywords.
export interface Found {
  raw: Uint8Array<ArrayBuffer>
  keywords: Record<string, true>
  /** When it was received, as the separating line says; missing when that makes no sense. */
  receivedAt?: string
}

const FLAGS: Record<string, string> = { R: '$seen', A: '$answered', F: '$flagged', T: '$draft' }
const SEPARATOR = /^From (\S+) +(.*\d\d?:\d\d.*)$/
const LF = 10
const LONGEST_LINE = 64 * 1024 * 1024

const encoder = new TextEncoder()

/** Octets as a text of as many characters, one each. (TextDecoder's latin1 is windows-1252, which loses some.) */
export function textOf(raw: Uint8Array): string {
  const parts: string[] = []
  for (let at = 0; at < raw.length; at += 8192) parts.push(String.fromCharCode(...raw.subarray(at, at + 8192)))
  return parts.join('')
}
/** The octets of such a text. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  const raw = new Uint8Array(text.length)
  for (let index = 0; index < text.length; index++) raw[index] = text.charCodeAt(index)
  return raw
}
/** With the line ends of RFC 5322, whatever they were. */
export function withCrlf(raw: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes(textOf(raw).replace(/\r?\n/g, '\r\n'))
}

/** Lines of a stream, each with its line end. */
async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader()
  let rest: Uint8Array[] = []
  let held = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      let start = 0
      for (let end = value.indexOf(LF); end >= 0; end = value.indexOf(LF, start)) {
        yield joined([...rest, value.subarray(start, end + 1)])
        rest = []
        held = 0
        start = end + 1
      }
      rest.push(value.subarray(start))
      held += value.length - start
      if (held > LONGEST_LINE) throw new Error('line too long')
    }
  } finally {
    void reader.cancel()
  }
  if (held) yield joined(rest)
}

export function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function startsWith(line: Uint8Array, text: string): boolean {
  if (line.length < text.length) return false
  for (let index = 0; index < text.length; index++) if (line[index] !== text.charCodeAt(index)) return false
  return true
}

/** The messages of an mbox. Throws when it does not begin as one. */
export async function* readMbox(stream: ReadableStream<Uint8Array>): AsyncGenerator<Found> {
  let body: Uint8Array[] | undefined
  let date = ''
  let blank = true
  for await (const line of lines(stream)) {
    const separator = blank && startsWith(line, 'From ') ? SEPARATOR.exec(textOf(line).trimEnd()) : null
    if (separator) {
      if (body) yield message(body, date)
      body = []
      date = separator[2] as string
      blank = false
      continue
    }
    blank = line.length <= 2 && (line[0] === LF || line[1] === LF)
    if (!body) {
      if (blank) continue
      throw new Error('no mbox')
    }
    body.push(/^>+From /.test(textOf(line.subarray(0, 40))) ? line.subarray(1) : line)
  }
  if (body) yield message(body, date)
}

function message(parts: Uint8Array[], date: string): Found {
  const last = parts.at(-1)
  if (last && last.length <= 2) parts.pop() // the empty line before the next separator
  const raw = joined(parts)
  const moment = new Date(`${date} UTC`)
  const plain = Number.isNaN(moment.getTime()) ? new Date(date) : moment
  const { text, keywords } = flagsOf(raw)
  return { raw: withCrlf(text), keywords, ...(Number.isNaN(plain.getTime()) ? {} : { receivedAt: plain.toISOString().slice(0, 19) + 'Z' }) }
}

/** Flags that other programs keep in the header; the fields are taken out. */
function flagsOf(raw: Uint8Array<ArrayBuffer>): { text: Uint8Array<ArrayBuffer>; keywords: Record<string, true> } {
  const keywords: Record<string, true> = {}
  const whole = textOf(raw)
  const end = /\r?\n\r?\n/.exec(whole)
  const size = end ? end.index + 1 : whole.length
  const head = whole.slice(0, size)
  const rest = head.replace(/^(Status|X-Status|X-Keywords|X-UID|X-IMAPbase|X-IMAP|Content-Length):[ \t]*(.*)\r?\n(?:[ \t].*\r?\n)*/gim, (_, name: string, value: string) => {
    if (/status$/i.test(name)) for (const letter of value) if (FLAGS[letter]) keywords[FLAGS[letter]] = true
    if (/^x-keywords$/i.test(name)) for (const word of value.split(/\s+/)) if (word) keywords[word.toLowerCase()] = true
    return ''
  })
  if (rest === head) return { text: raw, keywords }
  return { text: joined([bytes(rest), raw.subarray(size)]), keywords }
}

/** One message as a part of an mbox. */
export function mboxPart(raw: Uint8Array, email: { receivedAt: string; keywords: Record<string, boolean>; from?: { email: string }[] | null }): Uint8Array<ArrayBuffer> {
  const sender = (email.from?.[0]?.email ?? '').replace(/\s/g, '') || 'MAILER-DAEMON'
  const when = new Date(email.receivedAt).toUTCString() // Wed, 25 Nov 2026 08:00:00 GMT
  const [, day, month, year, time] = /(\d+) (\w+) (\d+) ([\d:]+)/.exec(when) as unknown as [string, string, string, string, string]
  const on = (name: string) => email.keywords[name] === true
  const status = `Status: ${on('$seen') ? 'R' : ''}O\n`
  const more = `${on('$answered') ? 'A' : ''}${on('$flagged') ? 'F' : ''}${on('$draft') ? 'T' : ''}`
  const words = Object.keys(email.keywords).filter((name) => !['$seen', '$answered', '$flagged', '$draft'].includes(name))
  const head = `From ${sender} ${when.slice(0, 3)} ${month} ${day.padStart(2)} ${time} ${year}\n${status}${more ? `X-Status: ${more}\n` : ''}${words.length ? `X-Keywords: ${words.join(' ')}\n` : ''}`
  const text = textOf(raw).replace(/\r\n/g, '\n').replace(/^(>*From )/gm, '>$1')
  return joined([encoder.encode(head), bytes(text.endsWith('\n') ? text : text + '\n'), encoder.encode('\n')])
}
