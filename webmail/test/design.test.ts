// Nothing but tokens.css names a colour or a type size.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const SOURCES = fileURLToPath(new URL('../src', import.meta.url))
const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(svelte|css)$/.test(name) && !name.endsWith('tokens.css'))

it.each(files)('%s names no colour and no type size', (name) => {
  const text = readFileSync(join(SOURCES, name), 'utf8')
  const style = name.endsWith('.css') ? text : (/<style>([\s\S]*)<\/style>/.exec(text)?.[1] ?? '')
  expect(style.match(/#[0-9a-f]{3,8}\b|\brgba?\(|\bhsla?\(|font-size:\s*\d+|font:\s*\d+/gi)).toBeNull()
})
