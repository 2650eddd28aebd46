// Shows the document that the page names; what is beside it, it fetches from nowhere else.
window.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("documents");
  window.ui = SwaggerUIBundle({
    domNode: place,
    url: new URL(place.dataset.url, document.baseURI).href,
    validatorUrl: null, // it would send the document to a service outside
    deepLinking: true,
    displayRequestDuration: true,
    filter: true,
    tryItOutEnabled: false,
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
  });
});
