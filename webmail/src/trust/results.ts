// Authentication-Results (RFC 8601) as our own server wrote them: which check found what, and who found it.
import type { EmailBody } from '../jmap/types'
import { headerAll } from '../mail/headers'

export interface Finding {
  method: string
  result: string
  /** What was judged: `header.d` → domain and the like. */
  properties: Record<string, string>
  /** In the server's words. */
  reason: string
}
export interface Results {
  /** The host that says so. */
  host: string
  /** Another host of the house that found it: a backup MX. */
  foundBy: string
  findings: Finding[]
}
const METHODS = ['dmarc', 'dkim', 'spf', 'arc', 'iprev', 'auth']
const MOST = 16_384

/** The results above the first Received: any below is a stranger's word. */
export function ownResults(body: EmailBody): Results | undefined {
  const names = (body.headers ?? []).map((field) => field.name.toLowerCase())
  const received = names.indexOf('received')
  const place = names.indexOf('authentication-results')
  if (place < 0 || (received >= 0 && received < place)) return undefined
  return parseResults(headerAll(body, 'Authentication-Results')[0] ?? '')
}

/** A field's value; the methods in the order of METHODS. */
export function parseResults(value: string): Results {
  const [first, ...rest] = pieces(value.slice(0, MOST))
  const findings = rest.flatMap(({ text, comment }): Finding[] => {
    const match = /^\s*([\w-]+)(?:\s*\/\s*(\d+))?\s*=\s*(\w+)(.*)$/s.exec(text)
    // RFC 8601 §2.6: a result of another version of a method means something else.
    if (!match || Number(match[2] ?? 1) !== 1) return []
    const said = [...(match[4] as string).matchAll(/([a-z]+\.[\w.-]+|reason)\s*=\s*(?:"([^"]*)"(@\S+)?|(\S+))/g)]
    const properties = Object.fromEntries(said.map((found) => [found[1] as string, found[4] ?? (found[2] ?? '') + (found[3] ?? '')]))
    return [{ method: (match[1] as string).toLowerCase(), result: (match[3] as string).toLowerCase(), properties, reason: comment }]
  })
  const known = findings.filter((finding) => METHODS.includes(finding.method))
  known.sort((one, other) => METHODS.indexOf(one.method) - METHODS.indexOf(other.method))
  return { host: first?.text.trim().split(/\s/)[0]?.toLowerCase() ?? '', foundBy: /^found by (\S+)$/.exec(first?.comment ?? '')?.[1] ?? '', findings: known }
}

interface Piece {
  text: string
  comment: string
}
/** What stands between semicolons, comments (RFC 5322 §3.2.2, nested) apart. */
function pieces(value: string): Piece[] {
  const all: Piece[] = [{ text: '', comment: '' }]
  let depth = 0
  let quoted = false
  for (let index = 0; index < value.length; index++) {
    const character = value[index] as string
    const piece = all.at(-1) as Piece
    if (character === '\\' && (depth || quoted)) {
      piece[depth ? 'comment' : 'text'] += value[++index] ?? ''
    } else if (depth) {
      if (character === '(') depth++
      else if (character === ')') depth--
      if (depth) piece.comment += character
    } else if (character === '"') {
      quoted = !quoted
      piece.text += character
    } else if (quoted) piece.text += character
    else if (character === '(') depth = 1
    else if (character === ';') all.push({ text: '', comment: '' })
    else piece.text += character
  }
  return all
}

/** What stands at the top of the topmost Received field, which is ours: who handed the message in, and how. */
export interface Arrival {
  from: string
  /** Handed in by somebody who was logged in here (RFC 3848: the A of ESMTPSA). */
  byLogin: boolean
}
export function arrivalOf(body: EmailBody): Arrival | undefined {
  const field = headerAll(body, 'Received')[0]
  const match = field ? /^from\s+(.+?)\s+by\s+\S+\s+\(Posthouse\)\s+with\s+(\S+)/is.exec(field) : null
  return match ? { from: match[1] as string, byLogin: /^(?:UTF8|E)?SMTPS?A$/i.test(match[2] as string) } : undefined
}
