/// <reference types="vite/client" />
import { beforeAll, expect, test } from 'vitest'
import { inReadersWords } from '../src/admin/said'
import { en } from '../src/i18n/en'
import { useLocale } from '../src/i18n/index.svelte'

beforeAll(async () => {
  globalThis.document ??= { documentElement: {} } as Document
  await useLocale('zh-CN')
})
test.each([
  ['data folder', '数据文件夹'],
  ['12.5 GB of 80.0 GB free', '剩余 12.5 GB，共 80.0 GB'],
  ['the last is 0.3 days old, in /srv/backup', '上次是 0.3 天前，在 /srv/backup'],
  ['publish: north.test. MX 10 mx.north.test.', '请发布：north.test. MX 10 mx.north.test.'],
  ['at least 500 messages, the oldest 4.2 hours old', 'at least 500 封邮件，最早的已等待 4.2 小时'],
  ['2 SPF records: receivers then use none', '有 2 条 SPF 记录：收信方会全部忽略'],
  ['mail.north.test, 80 days left', 'mail.north.test，还有 80 天'],
  ['mail.north.test, 80 days left, renewed about 2026-12-24', 'mail.north.test，还有 80 天，预计 2026-12-24 续期'],
  ['leads to 192.0.2.7, not here', '指向 192.0.2.7，不是本机'],
  ['large mail is deferred: NoSuchBucket', '大邮件被推迟：NoSuchBucket'],
  ['9 recipients in an hour whom it never wrote to before', '一小时内 9 个从未联系过的收件人'],
  ['v=DMARC1; p=reject', 'v=DMARC1; p=reject'],
  ['host in1.north.test', '主机 in1.north.test'],
  ['silent for 75 s (mx queue; smtp 25; 0.1.0)', '已沉默 75 s（mx queue; smtp 25; 0.1.0）'],
  ['get one for mail.north.test', '请为 mail.north.test 申请证书'],
])('%s', (said, shown) => {
  expect(inReadersWords(said)).toBe(shown)
})
test('every pattern is something the server says', () => {
  const files = import.meta.glob<string>(['../../posthouse/operations/{status,host_check,dns_check,domain_records,mta_sts_check,acme/names,acme/authority}.py', '../../posthouse/junk/sending.py'], { eager: true, query: '?raw', import: 'default' })
  const source = Object.values(files).join('\n')
  const unsaid = Object.entries(en).filter(([key, text]) => key.startsWith('said.') && !text.split(/\{\w+\}/).every((part) => source.includes(part.trim())))
  expect(Object.keys(files).length).toBeGreaterThan(2)
  expect(unsaid).toEqual([])
})
test('what happens to a message has a word', () => {
  const files = import.meta.glob<string>(['../../posthouse/inbound/{deliver,lists,list_copies,milter_passage,pipeline,refusing,story,sieve_*}.py', '../../posthouse/outbound/{outcomes,queue}.py'], { eager: true, query: '?raw', import: 'default' })
  const source = Object.values(files).join('\n')
  const kinds = [...source.matchAll(/\b(?:line|_line|_event|_?note)\(\s*(?:[\w.]*mail, )?"(\w+)"|kind="(\w+)"|story\.append\(\("(\w+)"/g)].map((found) => found[1] ?? found[2] ?? found[3])
  expect(kinds).toEqual(expect.arrayContaining(['signed', 'received', 'filtered', 'milter', 'posted', 'left']))
  expect(kinds.filter((kind) => !(`admin.kind.${kind}` in en))).toEqual([])
})
test('each check of a verdict has words of its own', () => {
  const files = import.meta.glob<string>(['../../posthouse/junk/{survey,judge,facts,verdict}.py', '../../posthouse/inbound/checks.py'], { eager: true, query: '?raw', import: 'default' })
  const source = Object.values(files).join('\n')
  const constants = new Map([...source.matchAll(/^ *([A-Z_]+)(?:: Final)? = "([\w-]+)"$/gm)].map(([, name, value]) => [name, value]))
  const named = [...source.matchAll(/Evidence\(\s*check=(?:"([\w-]+)"|([A-Z]+))|_heavy\(\s*"([\w-]+)"/g)].map((found) => found[1] ?? found[3] ?? constants.get(found[2]))
  const causes = [...(/class Cause\b[\s\S]*?\n\n\n/.exec(source)?.[0] ?? '').matchAll(/ = "([\w-]+)"/g)].map(([, cause]) => cause)
  const checks = new Set([...named, ...causes])
  expect([...checks]).toEqual(expect.arrayContaining(['policy', 'own-domain', 'quarantine', 'clamav', 'greylist', 'milter', 'look-alike', 'words']))
  expect([...checks].filter((check) => !(`trust.check.${check}` in en))).toEqual([])
})
