// A page that is read from disk may start no worker. There, the script of the search runs in a hidden frame instead.
// (The name of this file keeps the offline plugin from loading another one over the network.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const here = new URL(url, location).href
      const frame = document.createElement("iframe")
      frame.hidden = true
      frame.srcdoc = "<!doctype html>"
      this.inside = new Promise(resolve => {
        frame.onload = () => {
          const inside = frame.contentWindow
          const load = source => new Promise((loaded, failed) => {
            const script = inside.document.createElement("script")
            Object.assign(script, { src: new URL(source, here), onload: loaded, onerror: failed, async: false })
            inside.document.head.append(script)
          })
          inside.importScripts = (...sources) => Promise.all(sources.map(load))
          inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
          load(here).then(() => resolve(inside))
        }
      })
      document.body.append(frame)
    }

    postMessage(data) {
      this.inside.then(inside => inside.dispatchEvent(new MessageEvent("message", { data })))
    }
  }
}
