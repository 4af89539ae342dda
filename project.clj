(defproject oda "0.1.0"
  :description "The jar that carries ODA's Python spouts and bolts to Storm"
  ;; streamparse puts src there; here it would be in the jar twice, and bytecode is each machine's own.
  :resource-paths ["_resources"]
  :source-paths []
  :jar-exclusions [#"__pycache__"]
  :target-path "_build"
  :min-lein-version "2.0.0"
  :jvm-opts ["-client"]
  :pedantic? false
  :dependencies [[org.apache.storm/storm-core "2.8.3"]]
  ;; carbonite is on no reachable registry; excluded here and not above, since the line above
  ;; is what streamparse looks for in `lein deps :tree`.
  :managed-dependencies [[org.apache.storm/storm-clojure "2.8.3" :exclusions [org.clojars.bipinprasad/carbonite]]]
  ;; Storm is on the cluster already: keep it out of the jar. `:base {}` drops nrepl.
  :profiles {:base {} :uberjar {:dependencies ^:replace []}})
