// A small JMAP client (RFC 8620): the session, many calls in one request with back references, uploads and downloads.
import type { GetResponse, Id, Session, SetResponse } from './types'

export const CORE = 'urn:ietf:params:jmap:core'
export const MAIL = 'urn:ietf:params:jmap:mail'
export const PRINCIPALS = 'urn:ietf:params:jmap:principals'
export const SUBMISSION = 'urn:ietf:params:jmap:submission'
const SESSION_URL = '/.well-known/jmap'
/** How long an answer is waited for: a connection can be lost without anybody being told. The longest work is asking the DNS. */
const ANSWER_MS = 120_000

/** The server could not be reached; what was asked may be asked again later. */
export class Unreachable extends Error {
  override name = 'Unreachable'
}
/** The server wants a login. */
export class SignedOut extends Error {
  override name = 'SignedOut'
}
/** The server understood, and refused: a method-level error (RFC 8620 §3.6.2) or a problem document. */
export class Refused extends Error {
  override name = 'Refused'
  constructor(
    readonly type: string,
    description = '',
  ) {
    super(description || type)
  }
}

type Arguments = Record<string, unknown>
type Invocation = [string, Arguments, string]

/** A call of a batch. Its result is there once the batch was sent. */
export class Call<T> {
  private answer: T | undefined
  private fault: Refused | undefined
  constructor(
    readonly method: string,
    readonly tag: string,
  ) {}

  /** A reference into this call's result, for an argument whose name starts with # (RFC 8620 §3.7). */
  ref(path: string): { resultOf: string; name: string; path: string } {
    return { resultOf: this.tag, name: this.method, path }
  }
  /** The result; throws Refused when this method failed, Unreachable when it can only not be done now (RFC 8620 §3.6.2). */
  get result(): T {
    if (this.fault?.type === 'serverUnavailable') throw new Unreachable(this.fault.message)
    if (this.fault) throw this.fault
    if (this.answer === undefined) throw new Refused('serverFail', `no answer to ${this.method}`)
    return this.answer
  }
  get failed(): Refused | undefined {
    return this.fault
  }
  settle(name: string, value: Arguments): void {
    if (name === 'error') this.fault = new Refused(String(value['type']), String(value['description'] ?? ''))
    else if (this.answer === undefined && name === this.method) this.answer = value as T
  }
}

/** Calls that travel in one request. */
export class Batch {
  private readonly calls: Call<unknown>[] = []
  private readonly invocations: Invocation[] = []
  constructor(
    private readonly client: JmapClient,
    readonly accountId: Id,
  ) {}

  add<T>(method: string, args: Arguments): Call<T> {
    const call = new Call<T>(method, `c${this.calls.length}`)
    this.calls.push(call)
    this.invocations.push([method, { accountId: this.accountId, ...args }, call.tag])
    return call
  }
  get<T>(type: string, args: Arguments): Call<GetResponse<T>> {
    return this.add(`${type}/get`, args)
  }
  set<T = { id: Id }>(type: string, args: Arguments): Call<SetResponse<T>> {
    return this.add(`${type}/set`, args)
  }
  async send(): Promise<void> {
    const answers = await this.client.post(this.invocations)
    for (const [name, value, tag] of answers) this.calls.find((call) => call.tag === tag)?.settle(name, value)
  }
}

export class JmapClient {
  session!: Session
  /** Called when an answer shows that the session object has changed. */
  onSessionChange: () => void = () => {}

  /** `shared`: the account of somebody who shares with the person who is logged in; else their own. */
  constructor(private readonly shared?: Id) {}

  /** Fetch the session. Throws SignedOut (also when another account has signed in by now) or Unreachable. */
  async connect(): Promise<Session> {
    const response = await this.fetch(SESSION_URL, { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(ANSWER_MS) })
    const session = await read<Session>(response)
    // What is shown is another's by then, and ids mean something else there.
    if ((this.session as Session | undefined) && session.username !== this.session.username) throw new SignedOut()
    this.session = session
    return session
  }

  /** The account that is asked about. */
  get accountId(): Id {
    return this.shared ?? (this.session.primaryAccounts[MAIL] as Id)
  }
  has(capability: string): boolean {
    return capability in this.session.capabilities
  }
  /** A number of the core capability, such as maxObjectsInSet. */
  limit(name: string, otherwise: number): number {
    const value = this.session.capabilities[CORE]?.[name]
    return typeof value === 'number' ? value : otherwise
  }
  batch(accountId = this.accountId): Batch {
    return new Batch(this, accountId)
  }

  async post(methodCalls: Invocation[]): Promise<Invocation[]> {
    const using = Object.keys(this.session.capabilities)
    const response = await this.fetch(local(this.session.apiUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ using, methodCalls }),
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    const answer = await read<{ methodResponses: Invocation[]; sessionState: string }>(response)
    if (answer.sessionState !== this.session.state) this.onSessionChange()
    return answer.methodResponses
  }

  /** The address of a blob's bytes. */
  download(blobId: Id, name = 'file', type = 'application/octet-stream', accountId = this.accountId): string {
    return local(expand(this.session.downloadUrl, { accountId, blobId, name, type }))
  }

  /** Upload bytes; `progress` gets parts of one. Throws Refused with a type of RFC 8620 §3.6.1 or `tooLarge`. */
  upload(file: Blob, progress: (part: number) => void = () => {}, signal?: AbortSignal): Promise<{ blobId: Id; type: string; size: number }> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest() // fetch tells nothing of an upload's progress
      request.open('POST', local(expand(this.session.uploadUrl, { accountId: this.accountId })))
      request.setRequestHeader('content-type', file.type || 'application/octet-stream')
      request.responseType = 'json'
      request.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0)
      request.onerror = () => reject(new Unreachable('upload'))
      request.onabort = () => reject(new Refused('aborted'))
      request.onload = () => {
        if (request.status < 300) resolve(request.response as { blobId: Id; type: string; size: number })
        else reject(request.status === 401 ? new SignedOut() : new Refused(request.status === 413 ? 'tooLarge' : 'rejected', problemText(request.response)))
      }
      signal?.addEventListener('abort', () => request.abort())
      request.send(file)
    })
  }

  /** fetch with our own three kinds of failure. */
  async fetch(url: string, init: RequestInit = {}): Promise<Response> {
    let response: Response
    try {
      response = await fetch(url, { credentials: 'same-origin', ...init })
    } catch (fault) {
      if (fault instanceof DOMException && fault.name === 'AbortError') throw fault
      throw new Unreachable(String(fault))
    }
    if (response.status === 401) throw new SignedOut()
    if ([429, 502, 503, 504].includes(response.status)) throw new Unreachable(String(response.status))
    if (!response.ok) {
      const problem: unknown = await response.json().catch(() => null)
      throw new Refused(typeOf(problem) ?? String(response.status), problemText(problem))
    }
    return response
  }
}

/** An answer cut off, or given by something else on the way (the page of a wireless network), is none of the server's. */
async function read<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T
  } catch (fault) {
    throw new Unreachable(String(fault))
  }
}

/** Addresses of the session may be absolute; ours are taken on the page's own origin, so that cookies and the policy fit. */
export function local(url: string): string {
  const target = new URL(url, location.origin)
  return target.pathname + target.search
}

/** A URI template of level 1 (RFC 6570). */
export function expand(template: string, values: Record<string, string>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''))
}

function typeOf(problem: unknown): string | undefined {
  const type = (problem as { type?: unknown } | null)?.type
  return typeof type === 'string' ? type : undefined
}
function problemText(problem: unknown): string {
  const detail = (problem as { detail?: unknown } | null)?.detail
  return typeof detail === 'string' ? detail : ''
}
