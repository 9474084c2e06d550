// The account's Sieve scripts (RFC 9661) and the rules in them. Whatever is written says what it was made from, so that nobody's
// change is written over: who was second is shown what is there now.
import { ask } from '../design/ask.svelte'
import { t } from '../i18n/index.svelte'
import { Refused, type Batch } from '../jmap/client'
import type { GetResponse, Id, SetError, SetResponse } from '../jmap/types'
import { inWords } from '../settings/own'
import { mail } from '../store/mail.svelte'
import { renamed } from './places'
import { read, type Reading } from './read'
import type { Rule } from './rules'
import { write } from './write'

export interface Script {
  id: Id
  name: string
  blobId: Id
  isActive: boolean
  text: string
}
/** A fault of a script: its line (0: of none), and why. */
export interface ScriptFault {
  line: number
  description: string
}
type Shown = Omit<Script, 'text'>
type SieveError = SetError & { faults?: ScriptFault[] }
const UPLOAD = { t: { type: 'application/sieve' } }

class Filters {
  /** Undefined until they are known. */
  scripts = $state.raw<Script[]>()
  failed = $state('')
  /** Rules are begun in a script of their own, beside one that says more. */
  anew = $state(false)
  private state = ''
  private turn = 0

  /** The script that the page is about: the one in use; else one of rules. */
  readonly current = $derived.by(() => {
    if (this.anew) return undefined
    return this.scripts?.find(({ isActive }) => isActive) ?? this.scripts?.find(({ text }) => isRules(read(text)))
  })
  readonly reading = $derived<Reading>(this.current ? read(this.current.text) : { kind: 'rules', rules: [], exact: true })
  readonly rules = $derived(this.reading.kind === 'rules' ? this.reading.rules : [])

  async load(): Promise<void> {
    const batch = mail.client.batch()
    const answer = this.addReading(batch)
    try {
      await batch.send()
      answer()
    } catch (fault) {
      mail.meet(fault)
      if (!this.scripts) this.failed = inWords(fault)
    }
  }
  private addReading(batch: Batch): () => void {
    const turn = ++this.turn
    const scripts = batch.get<Shown>('SieveScript', { ids: null })
    const blobs = batch.add<GetResponse<{ id: Id; 'data:asText': string | null }>>('Blob/get', { '#ids': scripts.ref('/list/*/blobId'), properties: ['data:asText'] })
    return () => {
      const { list, state } = scripts.result
      const texts = new Map(blobs.result.list.map((blob) => [blob.id, blob['data:asText'] ?? '']))
      if (turn !== this.turn) return
      this.state = state
      this.failed = ''
      this.scripts = list.map((script) => ({ ...script, text: (texts.get(script.blobId) ?? '').replace(/\r\n/g, '\n') }))
    }
  }

  /** SieveScript/set, with `text` as the blob `#t`, and then look at what is there. Throws Refused with what the server said. */
  private async set(args: Record<string, unknown>, text?: string): Promise<SetResponse> {
    const batch = mail.client.batch()
    if (text !== undefined) batch.add('Blob/upload', { create: { t: { ...UPLOAD.t, data: [{ 'data:asText': text.replace(/\r?\n/g, '\r\n') }] } } })
    const call = batch.set('SieveScript', { ifInState: this.state, ...args })
    const answer = this.addReading(batch)
    try {
      await batch.send()
    } catch (fault) {
      mail.meet(fault)
      throw fault
    }
    answer()
    if (call.failed?.type === 'stateMismatch') throw new Refused('invalidArguments', t('filter.changed-elsewhere'))
    const { notCreated, notUpdated, notDestroyed } = call.result
    const [fault] = Object.values({ ...notCreated, ...notUpdated, ...notDestroyed }) as SieveError[]
    if (fault) throw new Refused(fault.type, fault.faults?.length ? faultsSaid(fault.faults) : fault.description)
    return call.result
  }

  // --- rules -------------------------------------------------------------------------------------------

  /** Keep these rules. False: the reader would rather not. Throws what the server refuses. */
  async keep(rules: Rule[]): Promise<boolean> {
    const text = write(rules.map(renamed))
    const { current, reading } = this
    if (!current || reading.kind === 'foreign') {
      await this.set({ create: { made: { name: this.freeName(t('filter.title')), blobId: '#t' } }, onSuccessActivateScript: '#made' }, text)
      this.anew = false
      return true
    }
    if (!reading.exact && !(await ask({ title: t('filter.layout-ask', { name: current.name }), text: t('filter.layout-lost'), confirm: t('filter.write-anew') }))) return false
    await this.set({ update: { [current.id]: { blobId: '#t' } } }, text)
    return true
  }
  freeName(wanted: string): string {
    const taken = new Set(this.scripts?.map(({ name }) => name))
    for (let n = 1; ; n++) {
      const name = n === 1 ? wanted : `${wanted} ${n}`
      if (!taken.has(name)) return name
    }
  }

  // --- scripts -----------------------------------------------------------------------------------------

  async keepScript(id: Id | undefined, name: string, text: string): Promise<void> {
    const script = { name, blobId: '#t' }
    await this.set(id ? { update: { [id]: script } } : { create: { made: script } }, text)
  }
  async use(id: Id): Promise<void> {
    await this.set({ onSuccessActivateScript: id })
    this.anew = false
  }
  async useNone(): Promise<void> {
    await this.set({ onSuccessDeactivateScript: true })
  }
  async destroy(id: Id): Promise<void> {
    await this.set({ destroy: [id] })
  }
  /** What is wrong with a text; undefined: nothing. */
  async faultsOf(text: string): Promise<ScriptFault[] | undefined> {
    const batch = mail.client.batch()
    batch.add('Blob/upload', { create: { t: { ...UPLOAD.t, data: [{ 'data:asText': text }] } } })
    const call = batch.add<{ error: SieveError | null }>('SieveScript/validate', { blobId: '#t' })
    await batch.send()
    const { error } = call.result
    return error ? (error.faults ?? [{ line: 0, description: error.description ?? error.type }]) : undefined
  }
}
function isRules(reading: Reading): boolean {
  return reading.kind === 'rules'
}
export function faultsSaid(faults: ScriptFault[]): string {
  return faults.map(({ line, description }) => (line ? t('filter.fault-at', { line, why: description }) : description)).join(' ')
}
export const filters = new Filters()
