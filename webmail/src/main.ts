// Starts the application: words first, then the page.
import { mount } from 'svelte'
import App from './App.svelte'
import './design/base.css'
import { applyTheme } from './design/theme.svelte'
import { preferredLocale, useLocale } from './i18n/index.svelte'
import { startRouter } from './router.svelte'
import { registerWorker } from './shell/offline'

applyTheme()
startRouter()
registerWorker()
await useLocale(preferredLocale())
mount(App, { target: document.getElementById('app') as HTMLElement })
