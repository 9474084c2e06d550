/// <reference types="vite/client" />
// Both languages say everything, with the same places to fill.
import { describe, expect, it } from 'vitest'
import { en } from '../src/i18n/en'
import { zhCN } from '../src/i18n/zh-CN'

const places = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort()

describe('words', () => {
  it('has the same keys in both languages', () => {
    expect(Object.keys(zhCN).sort()).toEqual(Object.keys(en).sort())
  })
  it('has the same places in both languages', () => {
    for (const [key, text] of Object.entries(en)) expect([key, places(zhCN[key as keyof typeof en])]).toEqual([key, places(text)])
  })
  it('leaves nothing empty', () => {
    expect(Object.entries({ ...zhCN }).filter(([, text]) => !text.trim())).toEqual([])
  })
  it('takes every file of words into the whole', () => {
    const files = import.meta.glob<Record<string, Record<string, string>>>('../src/i18n/*/*.ts', { eager: true })
    for (const [name, exported] of Object.entries(files)) {
      const words = Object.values(exported).flatMap((each) => Object.keys(each))
      expect([name, words.filter((key) => !(key in (name.includes('zh-CN') ? zhCN : en)))]).toEqual([name, []])
    }
  })
})
